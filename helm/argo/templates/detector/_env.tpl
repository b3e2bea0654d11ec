{{/* detector/settings.py */}}
{{- define "argo.detector.env" -}}
{{- $detector := .root.Values.detector -}}
- name: ARGO_NATS_URL
  value: {{ .root.Values.nats.url | quote }}
- name: ARGO_MODEL
  value: {{ $detector.models.name | quote }}
- name: ARGO_MODEL_DIRECTORY
  value: /var/lib/argo/models
- name: ARGO_TIME_ZONE
  value: {{ $detector.timeZone | quote }}
- name: ARGO_INFERENCE_THREADS
  value: {{ $detector.inferenceThreads | quote }}
{{- end -}}
