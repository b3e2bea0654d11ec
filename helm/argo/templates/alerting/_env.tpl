{{/* alerting/settings.py */}}
{{- define "argo.alerting.env" -}}
{{- $root := .root -}}
- name: ARGO_NATS_URL
  value: {{ $root.Values.nats.url | quote }}
{{ include "argo.secretEnv" (dict "name" "ARGO_POSTGRES_DSN" "secret" $root.Values.alerting.postgres) }}
- name: ARGO_WEB_LISTEN
  value: "0.0.0.0:8080"
- name: ARGO_REGISTRY
  value: {{ include "argo.target" (dict "root" $root "component" "registry" "key" "registry") | quote }}
- name: ARGO_ANONYMIZER
  value: {{ include "argo.target" (dict "root" $root "component" "anonymizer" "key" "anonymizer") | quote }}
- name: ARGO_CAMERA_GATEWAY
  value: {{ include "argo.target" (dict "root" $root "component" "camera-gateway" "key" "cameraGateway") | quote }}
- name: ARGO_WHEP_ORIGINS
  value: {{ $root.Values.origins.live | quote }}
- name: ARGO_AUTHORITIES
  value: {{ join "," $root.Values.alerting.authorities | quote }}
{{- with $root.Values.alerting.webhooks }}
- name: ARGO_CAP_SENDER
  value: {{ .capSender | quote }}
- name: ARGO_CAP_EXERCISE
  value: {{ .capExercise | quote }}
{{- if .existingSecret }}
- name: ARGO_WEBHOOKS
  value: /etc/argo/webhooks/webhooks.json
- name: ARGO_AUTHORITY_NETWORKS
  value: {{ join "," .networks | quote }}
{{- if .privateCa }}
- name: ARGO_WEBHOOK_CA
  value: /etc/argo/webhooks/ca.crt
{{- end }}
{{- end }}
{{- end }}
{{- with $root.Values.alerting.alarms }}
- name: ARGO_ALARM_BUDGET
  value: {{ .budget | quote }}
- name: ARGO_CHATTER_COUNT
  value: {{ .chatterCount | quote }}
- name: ARGO_CHATTER_SECONDS
  value: {{ .chatterSeconds | quote }}
- name: ARGO_NEIGHBOUR_METRES
  value: {{ .neighbourMetres | quote }}
- name: ARGO_LONGEST_SHELVING_SECONDS
  value: {{ .longestShelvingSeconds | quote }}
- name: ARGO_ACKNOWLEDGE_HIGH_SECONDS
  value: {{ .acknowledgeSeconds.high | quote }}
- name: ARGO_ACKNOWLEDGE_MEDIUM_SECONDS
  value: {{ .acknowledgeSeconds.medium | quote }}
- name: ARGO_ACKNOWLEDGE_LOW_SECONDS
  value: {{ .acknowledgeSeconds.low | quote }}
{{- end }}
- name: ARGO_SEARCH_OPTIC_HOURS
  value: {{ $root.Values.alerting.search.opticHours | quote }}
- name: ARGO_SEARCH_MATCHES
  value: {{ int $root.Values.alerting.search.matches | quote }}
- name: ARGO_SEARCH_MATCHES_APPROVED
  value: {{ int $root.Values.alerting.search.matchesApproved | quote }}
- name: ARGO_SEARCHES_PER_HOUR
  value: {{ int $root.Values.alerting.search.perHour | quote }}
- name: ARGO_SEARCH_KEPT_SECONDS
  value: {{ int $root.Values.alerting.search.keptSeconds | quote }}
{{- with $root.Values.alerting.flows }}
- name: ARGO_OPEN_FLOWS
  value: {{ .open | quote }}
- name: ARGO_PUBLISHER
  value: {{ .publisher | quote }}
- name: ARGO_OPEN_FLOW_MINUTES
  value: {{ .openMinutes | quote }}
{{- if ne (toString .relativeError) "" }}
- name: ARGO_FLOW_RELATIVE_ERROR
  value: {{ .relativeError | quote }}
{{- end }}
{{- end }}
{{- if $root.Values.alerting.console.existingSecret }}
{{ include "argo.secretEnv" (dict "name" "ARGO_CONSOLE_TOKEN" "secret" $root.Values.alerting.console) }}
{{- end }}
{{- with $root.Values.alerting.console.oidc }}
{{- if .clientId }}
- name: ARGO_CONSOLE_URL
  value: {{ $root.Values.origins.console | quote }}
- name: ARGO_CONSOLE_OIDC_CLIENT_ID
  value: {{ .clientId | quote }}
{{- if .existingSecret }}
{{ include "argo.secretEnv" (dict "name" "ARGO_CONSOLE_OIDC_CLIENT_SECRET" "secret" .) }}
{{- end }}
{{- end }}
{{- end }}
{{- end -}}
