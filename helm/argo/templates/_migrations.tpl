{{/*
Migrations as hooks: phase "pre" before the new code is rolled out, "post" after. Hooks run before the chart's own objects,
so a Job uses only Secrets that exist beforehand, and the namespace's default ServiceAccount without its token.
Arguments: the scope, phase, hook, env (YAML text).
*/}}
{{- define "argo.migration" -}}
apiVersion: batch/v1
kind: Job
metadata:
  name: {{ include "argo.componentName" . }}-migrate-{{ .phase }}
  labels:
    {{- include "argo.labels" . | nindent 4 }}
  annotations:
    helm.sh/hook: {{ .hook }}
    helm.sh/hook-delete-policy: before-hook-creation,hook-succeeded
spec:
  backoffLimit: 3
  activeDeadlineSeconds: 900
  template:
    metadata:
      labels:
        app.kubernetes.io/name: argo
        app.kubernetes.io/instance: {{ .root.Release.Name }}
        {{- include "argo.peerLabels" (printf "%s-migration" .component) | nindent 8 }}
    spec:
      restartPolicy: Never
      {{- include "argo.podSecurity" . | nindent 6 }}
      containers:
        - name: migrate
          image: {{ include "argo.image" . | quote }}
          imagePullPolicy: {{ .root.Values.image.pullPolicy }}
          args: [migrate, --phase, {{ .phase }}]
          {{- include "argo.containerSecurity" . | nindent 10 }}
          env:
            {{- include "argo.commonEnv" . | nindent 12 }}
            {{- trim .env | nindent 12 }}
          resources:
            {{- toYaml .root.Values.migrations.resources | nindent 12 }}
          volumeMounts:
            - {name: tmp, mountPath: /tmp}
      volumes:
        - name: tmp
          emptyDir: {medium: Memory, sizeLimit: 16Mi}
{{- end -}}
