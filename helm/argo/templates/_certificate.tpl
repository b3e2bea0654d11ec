{{/*
The identity of a component: its SPIFFE id, which the method allow lists of its peers name, and the DNS names that its
clients dial. Mutual TLS has no off switch: without cert-manager the Secret has to exist.
*/}}
{{- define "argo.certificate" -}}
{{- $values := .root.Values -}}
{{- if eq $values.tls.mode "certManager" -}}
apiVersion: cert-manager.io/v1
kind: Certificate
metadata:
  name: {{ include "argo.componentName" . }}
  labels:
    {{- include "argo.labels" . | nindent 4 }}
spec:
  secretName: {{ include "argo.tlsSecretName" . }}
  duration: {{ $values.tls.certManager.duration }}
  renewBefore: {{ $values.tls.certManager.renewBefore }}
  privateKey:
    algorithm: ECDSA
    size: 256
    rotationPolicy: Always
  usages: [digital signature, server auth, client auth]
  uris:
    - {{ printf "spiffe://%s/service/%s" $values.trustDomain .component | quote }}
  dnsNames:
    # A client asks for the component by its plain name, whatever address it dialled (mesh/rpc/channel.py).
    - {{ .component }}
    {{- $namespace := .root.Release.Namespace }}
    {{- $domain := $values.clusterDomain }}
    {{- range $name := list (include "argo.componentName" .) (include "argo.headlessName" .) }}
    - {{ $name }}
    - {{ printf "%s.%s.svc" $name $namespace }}
    - {{ printf "%s.%s.svc.%s" $name $namespace $domain }}
    {{- end }}
  issuerRef:
    {{- toYaml $values.tls.certManager.issuerRef | nindent 4 }}
{{- end -}}
{{- end -}}
