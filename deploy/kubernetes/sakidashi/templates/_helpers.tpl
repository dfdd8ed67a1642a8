{{/* Names are at most 38 characters: with "-delivery-notify-migrate" they fit into the 63 of a label. */}}
{{- define "sakidashi.fullname" -}}
{{- if contains .Chart.Name .Release.Name -}}
{{- .Release.Name | trunc 38 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name .Chart.Name | trunc 38 | trimSuffix "-" -}}
{{- end -}}
{{- end }}

{{/* Kubernetes allows no underscore in a name: delivery_notify is called delivery-notify. */}}
{{- define "sakidashi.serviceName" -}}
{{- printf "%s-%s" (include "sakidashi.fullname" .root) (.service | replace "_" "-") -}}
{{- end }}

{{- define "sakidashi.selectorLabels" -}}
app.kubernetes.io/name: {{ .root.Chart.Name }}
app.kubernetes.io/instance: {{ .root.Release.Name }}
app.kubernetes.io/component: {{ .service }}
{{- end }}

{{- define "sakidashi.labels" -}}
{{ include "sakidashi.selectorLabels" . }}
app.kubernetes.io/version: {{ .root.Chart.AppVersion | quote }}
app.kubernetes.io/part-of: sakidashi
app.kubernetes.io/managed-by: {{ .root.Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .root.Chart.Name .root.Chart.Version | replace "+" "_" }}
{{- end }}

{{- define "sakidashi.image" -}}
{{- if .image.digest -}}
{{ .image.repository }}@{{ .image.digest }}
{{- else -}}
{{ .image.repository }}:{{ .image.tag | default .root.Chart.AppVersion }}
{{- end -}}
{{- end }}

{{/* Variables of settings, and of the files in which secrets are mounted. */}}
{{- define "sakidashi.env" -}}
{{- range $setting, $value := .settings }}
- name: {{ $setting }}
  value: {{ $value | toString | quote }}
{{- end }}
{{- range $setting, $_ := .secrets }}
{{- if eq $setting "KAFKA_CLIENT_CERTIFICATE" }}
- name: {{ $setting }}
{{- else }}
- name: {{ $setting }}_FILE
{{- end }}
  value: /run/secrets/sakidashi/{{ $setting }}
{{- end }}
{{- end }}

{{/* One volume with a file for each secret, readable by the group of the process only. */}}
{{- define "sakidashi.secretsVolume" -}}
- name: secrets
  projected:
    defaultMode: 0440
    sources:
      {{- range $setting, $source := .secrets }}
      - secret:
          name: {{ $source.name | default $.root.Values.secretName }}
          items: [{key: {{ $source.key | quote }}, path: {{ $setting | quote }}}]
      {{- end }}
{{- end }}

{{- define "sakidashi.podSecurity" -}}
automountServiceAccountToken: false
enableServiceLinks: false
securityContext:
  runAsNonRoot: true
  runAsUser: 10001
  runAsGroup: 10001
  fsGroup: 10001
  fsGroupChangePolicy: OnRootMismatch
  seccompProfile: {type: RuntimeDefault}
{{- with .root.Values.imagePullSecrets }}
imagePullSecrets:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}

{{- define "sakidashi.containerSecurity" -}}
securityContext:
  allowPrivilegeEscalation: false
  readOnlyRootFilesystem: true
  capabilities: {drop: [ALL]}
{{- end }}
