{{/* Peers of NetworkPolicy rules. Each is one list item, to be indented under "from:" or "to:". */}}

{{- define "argo.podPeer" -}}
- podSelector:
    matchLabels:
      {{- include "argo.peerLabels" . | nindent 6 }}
{{- end -}}

{{- define "argo.networkPeers" -}}
{{- range . }}
- ipBlock:
    cidr: {{ . }}
{{- end }}
{{- end -}}

{{/* Ingress to the gRPC port from components of the mesh. Argument: a list of component names. */}}
{{- define "argo.grpcFrom" -}}
- from:
    {{- range . }}
    {{- include "argo.podPeer" . | nindent 4 }}
    {{- end }}
  ports:
    - {protocol: TCP, port: 8443}
{{- end -}}

{{/* Egress to the gRPC port of components of the mesh. Argument: a list of component names. */}}
{{- define "argo.grpcTo" -}}
- to:
    {{- range . }}
    {{- include "argo.podPeer" . | nindent 4 }}
    {{- end }}
  ports:
    - {protocol: TCP, port: 8443}
{{- end -}}

{{/* Egress to a service that the platform team runs. Argument: its networkPolicy values, {peer, port}. */}}
{{- define "argo.platformTo" -}}
- to:
    - {{- toYaml .peer | nindent 6 }}
  ports:
    - {protocol: TCP, port: {{ .port }}}
{{- end -}}

{{- define "argo.networkPolicyHead" -}}
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata:
  name: {{ include "argo.componentName" . }}
  labels:
    {{- include "argo.labels" . | nindent 4 }}
spec:
  podSelector:
    matchLabels:
      {{- include "argo.peerLabels" .component | nindent 6 }}
  policyTypes: [Ingress, Egress]
{{- end -}}

{{/* The UDP ports of WebRTC media: the kernel's ephemeral ones, since each connection binds one of its own. */}}
{{- define "argo.mediaPorts" -}}
- {protocol: UDP, port: {{ .Values.networkPolicy.mediaPorts.first }}, endPort: {{ .Values.networkPolicy.mediaPorts.last }}}
{{- end -}}
