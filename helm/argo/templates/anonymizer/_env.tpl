{{/* anonymizer/settings.py; the AWS_ variables are read by the object store client. */}}
{{- define "argo.anonymizer.env" -}}
{{- $anonymizer := .root.Values.anonymizer -}}
- name: ARGO_WEB_LISTEN
  value: "0.0.0.0:8080"
- name: ARGO_REGISTRY
  value: {{ include "argo.target" (dict "root" .root "component" "registry" "key" "registry") | quote }}
- name: ARGO_RECORDING_URL
  value: {{ $anonymizer.recording.url | quote }}
{{- with $anonymizer.recording.kms }}
{{- if .key }}
- name: ARGO_RECORDING_KMS_KEY
  value: {{ .key | quote }}
- name: AWS_ENDPOINT_URL_KMS
  value: {{ .endpoint | quote }}
{{- else }}
- name: ARGO_RECORDING_KEY_FILE
  value: /etc/argo/recording/key
{{- end }}
{{- end }}
- name: ARGO_SIGNING_KEY_FILE
  value: /etc/argo/signing/key.pem
{{ include "argo.secretEnv" (dict "name" "ARGO_POSTGRES_DSN" "secret" $anonymizer.postgres) }}
- name: ARGO_LONGEST_CLIP_SECONDS
  value: {{ $anonymizer.recording.longestClipSeconds | quote }}
- name: ARGO_CONSOLE_ORIGIN
  value: {{ .root.Values.origins.console | quote }}
- name: ARGO_WEB_PUBLIC_URL
  value: {{ .root.Values.origins.live | quote }}
- name: ARGO_ENCODER
  value: {{ $anonymizer.encoder | quote }}
- name: ARGO_REDACTION_THREADS
  value: {{ $anonymizer.redactionThreads | quote }}
{{- with $anonymizer.recording.objectStore }}
- name: AWS_ENDPOINT_URL
  value: {{ .endpoint | quote }}
- name: AWS_REGION
  value: {{ .region | quote }}
{{ include "argo.secretEnv" (dict "name" "AWS_ACCESS_KEY_ID" "secret" (dict "existingSecret" .existingSecret "key" .accessKeyIdKey)) }}
{{ include "argo.secretEnv" (dict "name" "AWS_SECRET_ACCESS_KEY" "secret" (dict "existingSecret" .existingSecret "key" .secretAccessKeyKey)) }}
{{- end }}
{{- end -}}
