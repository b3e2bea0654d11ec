{{/*
Every named template below is called with a scope: (dict "root" $ "component" "camera-gateway" "key" "cameraGateway"),
where key is the component's key in values.yaml.
*/}}

{{- define "argo.fullname" -}}
{{- .Values.fullnameOverride | default .Release.Name | trunc 40 | trimSuffix "-" -}}
{{- end -}}

{{- define "argo.componentName" -}}
{{- printf "%s-%s" (include "argo.fullname" .root) .component -}}
{{- end -}}

{{- define "argo.headlessName" -}}
{{- printf "%s-headless" (include "argo.componentName" .) -}}
{{- end -}}

{{/* What a Deployment and its Service select by; never changes in the life of a release. */}}
{{- define "argo.selectorLabels" -}}
app.kubernetes.io/name: argo
app.kubernetes.io/instance: {{ .root.Release.Name }}
app.kubernetes.io/component: {{ .component }}
{{- end -}}

{{/* What a NetworkPolicy selects by: without the instance, so that components in releases of their own still meet. */}}
{{- define "argo.peerLabels" -}}
app.kubernetes.io/part-of: argo
app.kubernetes.io/component: {{ . }}
{{- end -}}

{{- define "argo.labels" -}}
{{ include "argo.selectorLabels" . }}
app.kubernetes.io/part-of: argo
app.kubernetes.io/version: {{ .root.Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .root.Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .root.Chart.Name .root.Chart.Version }}
{{- end -}}

{{/* By digest where one is given: a tag can be moved, a digest cannot. */}}
{{- define "argo.image" -}}
{{- $image := (index .root.Values .key).image -}}
{{- $repository := printf "%s/%s" (trimSuffix "/" .root.Values.image.registry) $image.repository -}}
{{- if $image.digest -}}
{{- printf "%s@%s" $repository $image.digest -}}
{{- else -}}
{{- printf "%s:%s" $repository ($image.tag | default .root.Values.image.tag | default .root.Chart.AppVersion) -}}
{{- end -}}
{{- end -}}

{{- define "argo.tlsSecretName" -}}
{{- (index .root.Values .key).tlsSecret | default (printf "%s-tls" (include "argo.componentName" .)) -}}
{{- end -}}

{{/*
The gRPC target of a peer: from values where the peer lives elsewhere, else its headless Service, whose every address a
client learns. A ClusterIP would pin each long-lived connection to one pod.
*/}}
{{- define "argo.target" -}}
{{- $host := include "argo.headlessName" . -}}
{{- (index .root.Values.peers .key) | default (printf "dns:///%s.%s.svc.%s:8443" $host .root.Release.Namespace .root.Values.clusterDomain) -}}
{{- end -}}
