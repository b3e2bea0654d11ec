{{- define "argo.disruptionBudget" -}}
{{- $component := index .root.Values .key -}}
{{- $lowest := $component.replicas -}}
{{- if $component.autoscaling.enabled }}{{ $lowest = $component.autoscaling.minReplicas }}{{ end -}}
{{- if dig "keda" "enabled" false $component }}{{ $lowest = $component.keda.minReplicas }}{{ end -}}
{{- if gt (int $lowest) 1 -}}
apiVersion: policy/v1
kind: PodDisruptionBudget
metadata:
  name: {{ include "argo.componentName" . }}
  labels:
    {{- include "argo.labels" . | nindent 4 }}
spec:
  maxUnavailable: 1
  selector:
    matchLabels:
      {{- include "argo.selectorLabels" . | nindent 6 }}
{{- end -}}
{{- end -}}

{{- define "argo.horizontalAutoscaler" -}}
{{- $component := index .root.Values .key -}}
{{- if $component.autoscaling.enabled -}}
{{- if dig "keda" "enabled" false $component -}}
{{- fail (printf "%s: autoscaling.enabled and keda.enabled would fight over the same Deployment; choose one" .key) -}}
{{- end -}}
apiVersion: autoscaling/v2
kind: HorizontalPodAutoscaler
metadata:
  name: {{ include "argo.componentName" . }}
  labels:
    {{- include "argo.labels" . | nindent 4 }}
spec:
  scaleTargetRef:
    apiVersion: apps/v1
    kind: Deployment
    name: {{ include "argo.componentName" . }}
  minReplicas: {{ $component.autoscaling.minReplicas }}
  maxReplicas: {{ $component.autoscaling.maxReplicas }}
  metrics:
    - type: Resource
      resource:
        name: cpu
        target:
          type: Utilization
          averageUtilization: {{ $component.autoscaling.targetCpuUtilization }}
  # Streams move when a replica goes: leave slowly.
  behavior:
    scaleDown:
      stabilizationWindowSeconds: 600
      policies:
        - {type: Pods, value: 1, periodSeconds: 120}
{{- end -}}
{{- end -}}
