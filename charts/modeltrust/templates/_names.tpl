{{- define "modeltrust.labels" -}}
app.kubernetes.io/name: modeltrust
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{- end }}

{{- define "modeltrust.image" -}}
{{- $image := .Values.image -}}
{{- if $image.digest -}}
{{ $image.repository }}@{{ $image.digest }}
{{- else -}}
{{ $image.repository }}:{{ default .Chart.AppVersion $image.tag }}
{{- end -}}
{{- end }}

{{- /* Where a process listens: all addresses of its family, at a port. */ -}}
{{- define "modeltrust.listen" -}}
{{ ternary "[::]" "0.0.0.0" (eq .root.Values.ipFamily "IPv6") }}:{{ .port }}
{{- end }}

{{- /* Namespaces that are never sent: the cluster must be able to mend itself, and us, without us. */ -}}
{{- define "modeltrust.neverSent" -}}
{{- concat (list "kube-system" "kube-node-lease" "kube-public" .Release.Namespace .Values.jobs.namespace) .Values.neverSent | uniq | toJson -}}
{{- end }}

{{- define "modeltrust.podSecurity" -}}
runAsNonRoot: true
seccompProfile: {type: RuntimeDefault}
{{- end }}

{{- define "modeltrust.containerSecurity" -}}
allowPrivilegeEscalation: false
capabilities: {drop: [ALL]}
privileged: false
readOnlyRootFilesystem: true
runAsNonRoot: true
{{- end }}

{{- /* What every Deployment's Pods share. Takes root, component, settings. */ -}}
{{- define "modeltrust.pod" -}}
serviceAccountName: modeltrust-{{ .component }}
securityContext:
  {{- include "modeltrust.podSecurity" . | nindent 2 }}
enableServiceLinks: false
terminationGracePeriodSeconds: 45
{{- with .settings.priorityClassName }}
priorityClassName: {{ . }}
{{- end }}
{{- with .root.Values.imagePullSecrets }}
imagePullSecrets:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .settings.nodeSelector }}
nodeSelector:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .settings.tolerations }}
tolerations:
  {{- toYaml . | nindent 2 }}
{{- end }}
topologySpreadConstraints:
{{- range list "kubernetes.io/hostname" "topology.kubernetes.io/zone" }}
- maxSkew: 1
  topologyKey: {{ . }}
  whenUnsatisfiable: ScheduleAnyway
  labelSelector:
    matchLabels: {app.kubernetes.io/name: modeltrust, app.kubernetes.io/component: {{ $.component }}}
  matchLabelKeys: [pod-template-hash]
{{- end }}
{{- end }}

{{- /* metadata of a Deployment's Pods. Takes root, component, settings. */ -}}
{{- define "modeltrust.podMetadata" -}}
labels:
  app.kubernetes.io/component: {{ .component }}
  {{- include "modeltrust.labels" .root | nindent 2 }}
  {{- with .settings.podLabels }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
{{- with .settings.podAnnotations }}
annotations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}

{{- define "modeltrust.container" -}}
image: {{ include "modeltrust.image" .root }}
imagePullPolicy: {{ .root.Values.image.pullPolicy }}
securityContext:
  {{- include "modeltrust.containerSecurity" . | nindent 2 }}
resources:
  {{- toYaml .settings.resources | nindent 2 }}
{{- end }}

{{- /* How the API server reaches the webhook. In selfRotated mode the operator fills in caBundle, and nothing else. */ -}}
{{- define "modeltrust.clientConfig" -}}
service:
  name: modeltrust-webhook
  namespace: {{ .root.Release.Namespace }}
  path: {{ .path }}
  port: 443
{{- if eq .root.Values.certificates.mode "provided" }}
caBundle: {{ .root.Values.certificates.caBundle }}
{{- end }}
{{- end }}

{{- define "modeltrust.inject" -}}
{{- if eq .Values.certificates.mode "certManager" }}
annotations:
  cert-manager.io/inject-ca-from: {{ .Release.Namespace }}/{{ .Values.certificates.webhookSecret }}
{{- end }}
{{- end }}

{{- define "modeltrust.dns" -}}
- ports:
  - {protocol: UDP, port: 53}
  - {protocol: TCP, port: 53}
{{- end }}

{{- define "modeltrust.apiServerEgress" -}}
- ports:
  {{- range .ports }}
  - {protocol: TCP, port: {{ . }}}
  {{- end }}
  {{- with .cidrs }}
  to:
  {{- range . }}
  - ipBlock: {cidr: {{ . | quote }}}
  {{- end }}
  {{- end }}
{{- end }}

{{- /* "yes" where one IPv4 range lies strictly inside another: the API server refuses an exception from a range that does not hold it. */ -}}
{{- define "modeltrust.inside" -}}
{{- $outer := splitList "/" .outer -}}
{{- $inner := splitList "/" .inner -}}
{{- if gt (int (last $inner)) (int (last $outer)) -}}
{{- $size := 1 -}}
{{- range until (int (sub 32 (int (last $outer)))) -}}
{{- $size = mul $size 2 -}}
{{- end -}}
{{- $blocks := list -}}
{{- range list (first $outer) (first $inner) -}}
{{- $number := 0 -}}
{{- range splitList "." . -}}
{{- $number = add (mul $number 256) (int .) -}}
{{- end -}}
{{- $blocks = append $blocks (div $number $size) -}}
{{- end -}}
{{- if eq (first $blocks) (last $blocks) -}}yes{{- end -}}
{{- end -}}
{{- end }}

{{- /* Nothing where there is no range: a rule without destinations would allow all of them. */ -}}
{{- define "modeltrust.sourcesEgress" -}}
{{- if .cidrs -}}
- ports:
  {{- range .ports }}
  - {protocol: TCP, port: {{ . }}}
  {{- end }}
  to:
  {{- range $cidr := .cidrs }}
  {{- $except := list }}
  {{- if not (contains ":" $cidr) }}
  {{- range $.except }}
  {{- if include "modeltrust.inside" (dict "outer" $cidr "inner" .) }}
  {{- $except = append $except . }}
  {{- end }}
  {{- end }}
  {{- end }}
  - ipBlock:
      cidr: {{ $cidr | quote }}
      {{- with $except }}
      except: {{ . | toJson }}
      {{- end }}
  {{- end }}
{{- end }}
{{- end }}

{{- define "modeltrust.metricsIngress" -}}
- ports:
  - {protocol: TCP, port: 9090}
  from:
  - namespaceSelector:
      {{- toYaml .namespaceSelector | nindent 6 }}
    podSelector:
      {{- toYaml .podSelector | nindent 6 }}
{{- end }}

{{- /* Objects of `helm test`: made for it, and gone when it succeeds. */ -}}
{{- define "modeltrust.testHook" -}}
helm.sh/hook: test
helm.sh/hook-delete-policy: before-hook-creation,hook-succeeded
{{- end }}
