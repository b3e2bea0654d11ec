{{/* registry/settings.py */}}
{{- define "argo.registry.env" -}}
{{- $registry := .root.Values.registry -}}
{{ include "argo.secretEnv" (dict "name" "ARGO_POSTGRES_DSN" "secret" $registry.postgres) }}
- name: ARGO_CAMERA_NETWORKS
  value: {{ join "," .root.Values.cameraNetworks | quote }}
- name: ARGO_LEASE_SECONDS
  value: {{ $registry.leaseSeconds | quote }}
- name: ARGO_WEB_LISTEN
  value: "0.0.0.0:8080"
- name: ARGO_TIME_ZONE
  value: {{ $registry.timeZone | quote }}
{{- end -}}
