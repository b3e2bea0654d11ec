{{/*
The objects that all five components have alike. Further arguments of the scope, all optional: env, volumes, volumeMounts
(YAML text), web (true where the service also serves browsers or cameras on 8080), strategy (YAML text).
*/}}
{{- define "argo.workload" -}}
{{- include "argo.serviceAccount" . }}
---
{{ include "argo.deployment" . }}
---
{{ include "argo.services" . }}
{{- with include "argo.disruptionBudget" . }}
---
{{ . }}
{{- end }}
{{- with include "argo.horizontalAutoscaler" . }}
---
{{ . }}
{{- end }}
{{- with include "argo.certificate" . }}
---
{{ . }}
{{- end }}
{{- end -}}

{{- define "argo.serviceAccount" -}}
apiVersion: v1
kind: ServiceAccount
metadata:
  name: {{ include "argo.componentName" . }}
  labels:
    {{- include "argo.labels" . | nindent 4 }}
automountServiceAccountToken: false
{{- end -}}

{{- define "argo.deployment" -}}
{{- $values := .root.Values -}}
{{- $component := index $values .key -}}
{{- $scaled := or $component.autoscaling.enabled (dig "keda" "enabled" false $component) -}}
apiVersion: apps/v1
kind: Deployment
metadata:
  name: {{ include "argo.componentName" . }}
  labels:
    {{- include "argo.labels" . | nindent 4 }}
spec:
  {{- if not $scaled }}
  replicas: {{ $component.replicas }}
  {{- end }}
  revisionHistoryLimit: 3
  selector:
    matchLabels:
      {{- include "argo.selectorLabels" . | nindent 6 }}
  strategy:
    {{- .strategy | default "type: RollingUpdate\nrollingUpdate:\n  maxSurge: 1\n  maxUnavailable: 0" | nindent 4 }}
  template:
    metadata:
      labels:
        {{- include "argo.labels" . | nindent 8 }}
      annotations:
        kubectl.kubernetes.io/default-container: {{ .component }}
        {{- with $component.podAnnotations }}
        {{- toYaml . | nindent 8 }}
        {{- end }}
    spec:
      serviceAccountName: {{ include "argo.componentName" . }}
      {{- include "argo.podSecurity" . | nindent 6 }}
      # The time a pod may take to leave: endpoint removal, open calls, drain of NATS and PostgreSQL.
      terminationGracePeriodSeconds: {{ add $values.shutdown.drainDelaySeconds $values.shutdown.graceSeconds 15 }}
      containers:
        - name: {{ .component }}
          image: {{ include "argo.image" . | quote }}
          imagePullPolicy: {{ $values.image.pullPolicy }}
          {{- include "argo.containerSecurity" . | nindent 10 }}
          env:
            {{- include "argo.commonEnv" . | nindent 12 }}
            {{- with .env }}
            {{- trim . | nindent 12 }}
            {{- end }}
          ports:
            - {name: grpc, containerPort: 8443}
            - {name: http, containerPort: 9090}
            {{- if .web }}
            - {name: web, containerPort: 8080}
            {{- end }}
          {{- include "argo.probes" . | nindent 10 }}
          resources:
            {{- toYaml $component.resources | nindent 12 }}
          volumeMounts:
            - {name: tls, mountPath: /etc/argo/tls, readOnly: true}
            - {name: tmp, mountPath: /tmp}
            {{- with .volumeMounts }}
            {{- trim . | nindent 12 }}
            {{- end }}
      volumes:
        - name: tls
          secret:
            secretName: {{ include "argo.tlsSecretName" . }}
            defaultMode: 0440
        # In memory: whatever a library writes here never reaches a disk.
        - name: tmp
          emptyDir: {medium: Memory, sizeLimit: 64Mi}
        {{- with .volumes }}
        {{- trim . | nindent 8 }}
        {{- end }}
      {{- with $component.nodeSelector }}
      nodeSelector:
        {{- toYaml . | nindent 8 }}
      {{- end }}
      {{- with $component.tolerations }}
      tolerations:
        {{- toYaml . | nindent 8 }}
      {{- end }}
      {{- with $component.affinity }}
      affinity:
        {{- toYaml . | nindent 8 }}
      {{- end }}
      topologySpreadConstraints:
        - maxSkew: 1
          topologyKey: kubernetes.io/hostname
          whenUnsatisfiable: ScheduleAnyway
          labelSelector:
            matchLabels:
              {{- include "argo.selectorLabels" . | nindent 14 }}
{{- end -}}

{{- define "argo.services" -}}
apiVersion: v1
kind: Service
metadata:
  name: {{ include "argo.headlessName" . }}
  labels:
    {{- include "argo.labels" . | nindent 4 }}
spec:
  clusterIP: None
  selector:
    {{- include "argo.selectorLabels" . | nindent 4 }}
  ports:
    - {name: grpc, port: 8443, targetPort: grpc, appProtocol: grpc}
---
apiVersion: v1
kind: Service
metadata:
  name: {{ include "argo.componentName" . }}
  labels:
    {{- include "argo.labels" . | nindent 4 }}
spec:
  type: ClusterIP
  selector:
    {{- include "argo.selectorLabels" . | nindent 4 }}
  ports:
    - {name: grpc, port: 8443, targetPort: grpc, appProtocol: grpc}
    - {name: http, port: 9090, targetPort: http}
    {{- if .web }}
    - {name: web, port: 8080, targetPort: web}
    {{- end }}
{{- end -}}
