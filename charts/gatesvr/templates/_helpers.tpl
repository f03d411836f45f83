{{- define "gatesvr.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 52 | trimSuffix "-" -}}
{{- end -}}

{{/* The release's name where it says what it is, else with the chart's. */}}
{{- define "gatesvr.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 52 | trimSuffix "-" -}}
{{- else if contains (include "gatesvr.name" .) .Release.Name -}}
{{- .Release.Name | trunc 52 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name (include "gatesvr.name" .) | trunc 52 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{- define "gatesvr.selectorLabels" -}}
app.kubernetes.io/name: {{ include "gatesvr.name" . }}-operator
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "gatesvr.labels" -}}
{{ include "gatesvr.selectorLabels" . }}
app.kubernetes.io/component: operator
app.kubernetes.io/part-of: gatesvr
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{- end -}}

{{- define "gatesvr.serviceAccount" -}}
{{- if .Values.serviceAccount.create -}}
{{- default (include "gatesvr.fullname" .) .Values.serviceAccount.name -}}
{{- else -}}
{{- required "serviceAccount.name: expected the name of a ServiceAccount when serviceAccount.create is false" .Values.serviceAccount.name -}}
{{- end -}}
{{- end -}}

{{/* repository:tag, or repository@digest when the tag is one. */}}
{{- define "gatesvr.image" -}}
{{- $tag := default .appVersion .image.tag -}}
{{- if hasPrefix "sha256:" $tag -}}{{ .image.repository }}@{{ $tag }}{{- else -}}{{ .image.repository }}:{{ $tag }}{{- end -}}
{{- end -}}

{{/* The namespaces that are watched, by comma; empty for all. */}}
{{- define "gatesvr.namespaces" -}}
{{- if eq .Values.rbac.scope "namespaced" -}}
{{- default (list .Release.Namespace) .Values.rbac.namespaces | join "," -}}
{{- end -}}
{{- end -}}

{{/* What the operator does in every namespace whose GateSvrs it runs. */}}
{{- define "gatesvr.rules" -}}
- apiGroups: [gatesvr.io]
  resources: [gatesvrs, zones]
  verbs: [get, list, watch, patch, update]
- apiGroups: [gatesvr.io]
  resources: [gatesvrs/status, zones/status]
  verbs: [get, patch, update]
# Objects that belong to a GateSvr hold up its deletion (blockOwnerDeletion).
- apiGroups: [gatesvr.io]
  resources: [gatesvrs/finalizers, zones/finalizers]
  verbs: [update]
- apiGroups: [apps]
  resources: [statefulsets]
  verbs: [get, list, watch, create, patch, update, delete]
- apiGroups: [""]
  resources: [services, configmaps, secrets, serviceaccounts]
  verbs: [get, list, watch, create, patch, update, delete]
# Role labels; pods that are to be replaced.
- apiGroups: [""]
  resources: [pods]
  verbs: [get, list, watch, patch, update, delete]
- apiGroups: [discovery.k8s.io]
  resources: [endpointslices]
  verbs: [get, list, watch, create, patch, update, delete]
# For Services without a selector, whose slices are written by somebody else than Kubernetes itself.
- apiGroups: [discovery.k8s.io]
  resources: [endpointslices/restricted]
  verbs: [create]
# Each pair's Lease; gateways are given rights on their own one, which nobody can give who does not have them.
- apiGroups: [coordination.k8s.io]
  resources: [leases]
  verbs: [get, list, watch, create, patch, update, delete]
- apiGroups: [policy]
  resources: [poddisruptionbudgets]
  verbs: [get, list, watch, create, patch, update, delete]
- apiGroups: [networking.k8s.io]
  resources: [networkpolicies]
  verbs: [get, list, watch, create, patch, update, delete]
- apiGroups: [rbac.authorization.k8s.io]
  resources: [roles, rolebindings]
  verbs: [get, list, watch, create, patch, update, delete]
- apiGroups: [events.k8s.io]
  resources: [events]
  verbs: [create, patch, update]
{{- if .Values.rbac.certManager }}
- apiGroups: [cert-manager.io]
  resources: [certificates]
  verbs: [get, list, watch, create, patch, update, delete]
{{- end }}
{{- end -}}
