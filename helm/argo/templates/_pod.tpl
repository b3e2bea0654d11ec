{{/* The restricted level of the Pod Security Standards, for every pod of the chart. */}}
{{- define "argo.podSecurity" -}}
automountServiceAccountToken: false
# Service links would put variables such as ARGO_REGISTRY_PORT into the environment, which the settings refuse as unknown.
enableServiceLinks: false
securityContext:
  runAsNonRoot: true
  runAsUser: 10001
  runAsGroup: 10001
  fsGroup: 10001
  fsGroupChangePolicy: OnRootMismatch
  seccompProfile:
    type: RuntimeDefault
{{- with .root.Values.image.pullSecrets }}
imagePullSecrets:
  {{- range . }}
  - name: {{ . }}
  {{- end }}
{{- end }}
{{- end -}}

{{- define "argo.containerSecurity" -}}
securityContext:
  allowPrivilegeEscalation: false
  readOnlyRootFilesystem: true
  capabilities:
    drop: [ALL]
{{- end -}}

{{/* The settings that every service has (mesh/settings.py). */}}
{{- define "argo.commonEnv" -}}
{{- $values := .root.Values -}}
- name: ARGO_GRPC_LISTEN
  value: "0.0.0.0:8443"
- name: ARGO_HTTP_LISTEN
  value: "0.0.0.0:9090"
- name: ARGO_GRPC_REFLECTION
  value: {{ $values.grpcReflection | quote }}
- name: ARGO_TLS_CERTIFICATE
  value: /etc/argo/tls/tls.crt
- name: ARGO_TLS_KEY
  value: /etc/argo/tls/tls.key
- name: ARGO_TLS_CA
  value: /etc/argo/tls/ca.crt
- name: ARGO_TRUST_DOMAIN
  value: {{ $values.trustDomain | quote }}
- name: ARGO_ENVIRONMENT
  value: {{ $values.environment | quote }}
- name: ARGO_LOG_FORMAT
  value: json
- name: ARGO_LOG_LEVEL
  value: {{ $values.log.level | quote }}
{{- with $values.tracing.endpoint }}
- name: ARGO_OTLP_ENDPOINT
  value: {{ . | quote }}
{{- end }}
{{- with $values.oidc }}
{{- if .issuer }}
- name: ARGO_OIDC_ISSUER
  value: {{ .issuer | quote }}
- name: ARGO_OIDC_AUDIENCE
  value: {{ .audience | quote }}
{{- with .jwksUrl }}
- name: ARGO_OIDC_JWKS_URL
  value: {{ . | quote }}
{{- end }}
- name: ARGO_OIDC_REQUIRED
  value: {{ .required | quote }}
- name: ARGO_OIDC_NAME_CLAIM
  value: {{ .claims.name | quote }}
- name: ARGO_OIDC_ROLES_CLAIM
  value: {{ .claims.roles | quote }}
- name: ARGO_OIDC_TENANT_CLAIM
  value: {{ .claims.tenant | quote }}
- name: ARGO_OIDC_PURPOSES_CLAIM
  value: {{ .claims.purposes | quote }}
- name: ARGO_OIDC_RIGHTS_CLAIM
  value: {{ .claims.rights | quote }}
{{- with .roleMap }}
- name: ARGO_OIDC_ROLE_MAP
  value: {{ include "argo.pairs" . | quote }}
{{- end }}
{{- with .tenants }}
- name: ARGO_OIDC_TENANTS
  value: {{ join "," . | quote }}
{{- end }}
{{- end }}
{{- end }}
- name: ARGO_TRACE_SAMPLE_RATIO
  value: {{ $values.tracing.sampleRatio | quote }}
- name: ARGO_DRAIN_DELAY_SECONDS
  value: {{ $values.shutdown.drainDelaySeconds | quote }}
- name: ARGO_SHUTDOWN_GRACE_SECONDS
  value: {{ $values.shutdown.graceSeconds | quote }}
{{- end -}}

{{/* Where a service with an audit log keeps its signed heads (mesh/audit/settings.py). */}}
{{- define "argo.auditEnv" -}}
{{- with .root.Values.audit }}
{{- if .checkpointUrl }}
- name: ARGO_AUDIT_CHECKPOINT_URL
  value: {{ .checkpointUrl | quote }}
- name: ARGO_AUDIT_CHECKPOINT_SECONDS
  value: {{ .checkpointSeconds | quote }}
{{- end }}
{{- end }}
{{- end -}}

{{/* The same for a service that has neither a signing key nor an object store for anything else. */}}
{{- define "argo.auditStoreEnv" -}}
{{- include "argo.auditEnv" . }}
{{- with .root.Values.audit }}
{{- if .checkpointUrl }}
- name: ARGO_SIGNING_KEY_FILE
  value: /etc/argo/signing/key.pem
- name: AWS_ENDPOINT_URL
  value: {{ .objectStore.endpoint | quote }}
- name: AWS_REGION
  value: {{ .objectStore.region | quote }}
{{ include "argo.secretEnv" (dict "name" "AWS_ACCESS_KEY_ID" "secret" (dict "existingSecret" .objectStore.existingSecret "key" .objectStore.accessKeyIdKey)) }}
{{ include "argo.secretEnv" (dict "name" "AWS_SECRET_ACCESS_KEY" "secret" (dict "existingSecret" .objectStore.existingSecret "key" .objectStore.secretAccessKeyKey)) }}
{{- end }}
{{- end }}
{{- end -}}

{{/* The volume with the signing key, and where it is mounted, as further arguments of argo.workload. */}}
{{- define "argo.signingVolume" -}}
{{- if .root.Values.audit.checkpointUrl }}
volumes: |
  - name: signing-key
    secret:
      secretName: {{ .root.Values.audit.signingKey.existingSecret }}
      defaultMode: 0440
      items: [{key: {{ .root.Values.audit.signingKey.key }}, path: key.pem}]
volumeMounts: "- {name: signing-key, mountPath: /etc/argo/signing, readOnly: true}"
{{- end }}
{{- end -}}

{{/* A map as key=value pairs, in the order of the keys. */}}
{{- define "argo.pairs" -}}
{{- $pairs := list -}}
{{- range $key, $value := . -}}
{{- $pairs = append $pairs (printf "%s=%s" $key $value) -}}
{{- end -}}
{{- join "," $pairs -}}
{{- end -}}

{{/* A variable whose value is a key of a Secret that the chart does not own. */}}
{{- define "argo.secretEnv" -}}
- name: {{ .name }}
  valueFrom:
    secretKeyRef:
      name: {{ .secret.existingSecret }}
      key: {{ .secret.key }}
{{- end -}}

{{/*
startup waits for the warm-up (a model compiles for minutes), readiness follows health, liveness asks only whether the
event loop turns: a restart heals no dependency.
*/}}
{{- define "argo.probes" -}}
startupProbe:
  httpGet: {path: /readyz, port: http}
  periodSeconds: 2
  failureThreshold: {{ (index .root.Values .key).startupFailureThreshold }}
readinessProbe:
  httpGet: {path: /readyz, port: http}
  periodSeconds: 5
  timeoutSeconds: 2
livenessProbe:
  httpGet: {path: /healthz, port: http}
  periodSeconds: 10
  timeoutSeconds: 5
  failureThreshold: 3
{{- end -}}
