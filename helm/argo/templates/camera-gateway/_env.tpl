{{/* camera_gateway/settings.py */}}
{{- define "argo.cameraGateway.env" -}}
{{- $root := .root -}}
{{- $gateway := $root.Values.cameraGateway -}}
- name: ARGO_REGISTRY
  value: {{ include "argo.target" (dict "root" $root "component" "registry" "key" "registry") | quote }}
- name: ARGO_DETECTOR
  value: {{ include "argo.target" (dict "root" $root "component" "detector" "key" "detector") | quote }}
- name: ARGO_ANONYMIZER
  value: {{ include "argo.target" (dict "root" $root "component" "anonymizer" "key" "anonymizer") | quote }}
- name: ARGO_NATS_URL
  value: {{ $root.Values.nats.url | quote }}
- name: ARGO_CAMERA_NETWORKS
  value: {{ join "," $root.Values.cameraNetworks | quote }}
{{- with $gateway.credentials }}
{{- if .existingSecret }}
- name: ARGO_CAMERA_CREDENTIALS
  value: /etc/argo/credentials/{{ .key }}
{{- end }}
{{- end }}
{{- with $gateway.cameraAuthorities }}
{{- if .existingSecret }}
- name: ARGO_CAMERA_CA
  value: /etc/argo/camera-authorities/{{ .key }}
{{- end }}
{{- end }}
- name: ARGO_WEB_LISTEN
  value: "0.0.0.0:8080"
- name: ARGO_WEB_TLS
  value: "true"
# The name under which this replica holds its leases.
- name: ARGO_REPLICA
  valueFrom:
    fieldRef:
      fieldPath: metadata.name
- name: ARGO_CAPACITY
  value: {{ $gateway.capacity | quote }}
- name: ARGO_DECODE_THREADS
  value: {{ $gateway.decodeThreads | quote }}
{{- with $gateway.decodeDevice }}
- name: ARGO_DECODE_DEVICE
  value: {{ . | quote }}
{{- end }}
- name: ARGO_DIALS
  value: {{ $gateway.dials | quote }}
- name: ARGO_DIALS_PER_SITE
  value: {{ $gateway.dialsPerSite | quote }}
{{- end -}}
