package policygen

import (
	"fmt"
	"slices"
	"strings"

	"tokaido/iam"
)

// Finding is something about the definition that a policy for it had to guess,
// or that its author should know: what could not be known, what was assumed,
// and how to say it more narrowly.
type Finding struct {
	ID       string
	Severity iam.Severity
	State    string // "": the machine itself
	Field    string
	Source   string   // as the definition writes it
	Args     []string // what was assumed, and what else Text needs
}

type bilingual struct{ en, ja string }

// rules: %[1]s is what is written, %[2]s is State.Field, the rest are Args.
var rules = map[string]struct {
	severity iam.Severity
	bilingual
}{
	"PG01": {iam.Warning, bilingual{
		"what %[1]s yields is not known before it runs; assumed: %[3]s. To narrow it: write a constant, begin it with one, choose it from constants, or give its values with --value '%[2]s=…'.",
		"%[1]s の値は実行するまで分かりません。仮定した範囲: %[3]s。狭めるには、定数にする、定数で始める、定数から選ぶ、または --value '%[2]s=…' で値を指定します。"}},
	"PG02": {iam.Info, bilingual{
		"only the beginning of %[1]s is known; assumed: %[3]s. To narrow it: write a constant, or give its values with --value '%[2]s=…'.",
		"%[1]s は先頭しか分かりません。仮定した範囲: %[3]s。狭めるには、定数にするか、--value '%[2]s=…' で値を指定します。"}},
	"PG03": {iam.Error, bilingual{
		"%[3]s names nothing that this call could be about; everything of the kind in the machine's Region and account is allowed instead.",
		"%[3]s はこの呼び出しの対象として解釈できません。代わりに、ステートマシンのリージョンとアカウントにある同じ種類のリソースすべてを許可しています。"}},
	"PG04": {iam.Warning, bilingual{
		"a message to a phone number has no resource: only sns:Publish on * allows it, which also allows every topic. To narrow it: publish to a topic, or keep this task under a role of its own (Credentials).",
		"電話番号宛てのメッセージにはリソースがなく、* に対する sns:Publish でしか許可できません。これはすべてのトピックへの発行も許可します。狭めるには、トピックに発行するか、このタスクだけを別のロール (Credentials) で実行します。"}},
	"PG05": {iam.Warning, bilingual{
		"which model %[1]s names is not known before it runs; assumed: %[3]s, and no inference profile. To narrow it, or to allow profiles: give the ids with --value '%[2]s=ID,…'.",
		"%[1]s がどのモデルを指すかは実行するまで分かりません。仮定した範囲: %[3]s（推論プロファイルは含みません）。狭める場合や推論プロファイルを許可する場合は、--value '%[2]s=ID,…' で ID を指定します。"}},
	"PG06": {iam.Error, bilingual{
		"%[3]s is no model that can be called from %[4]s in account %[5]s: nothing was allowed for it.",
		"%[3]s は、アカウント %[5]s の %[4]s から呼び出せるモデルではありません。許可を生成していません。"}},
	"PG07": {iam.Info, bilingual{
		"the task runs as %[3]s: what it calls must be allowed there (see targets), and that role's trust policy must let this machine's role assume it.",
		"このタスクは %[3]s として実行されます。呼び出しの許可はそのロールに必要です（targets を参照）。また、そのロールの信頼ポリシーで、このステートマシンのロールに引き受けを許可する必要があります。"}},
	"PG09": {iam.Warning, bilingual{
		"which roles the task definition has is not in the definition; assumed: %[3]s, passed to ecs-tasks.amazonaws.com only. To narrow it: put the task role and the execution role there.",
		"タスク定義が持つロールは定義からは分かりません。仮定した範囲: %[3]s（ecs-tasks.amazonaws.com に渡す場合のみ）。狭めるには、タスクロールとタスク実行ロールの ARN に置き換えます。"}},
	"PG11": {iam.Warning, bilingual{
		"the actions of this service are not in the reference at hand; assumed: %[3]s. Hold it against the Service Authorization Reference.",
		"このサービスのアクションは手元の資料にありません。仮定した内容: %[3]s。サービス認可リファレンスで確かめてください。"}},
	"PG12": {iam.Info, bilingual{
		"the actions %[3]s have no resource types: only * allows them.",
		"%[3]s のアクションにはリソースタイプがなく、* でしか許可できません。"}},
	"PG13": {iam.Warning, bilingual{
		"what it reads besides is not in the definition: it also needs %[3]s on that (%[4]s).",
		"ほかに何を読み取るかは定義からは分かりません。その対象（%[4]s）に対する %[3]s も必要です。"}},
	"PG14": {iam.Warning, bilingual{
		"the policy has %[3]s characters, more than an inline policy may have; it was split into %[4]s managed policies.",
		"ポリシーは %[3]s 文字で、インラインポリシーの上限を超えるため、%[4]s 個の管理ポリシーに分けました。"}},
	"PG15": {iam.Error, bilingual{
		"%[3]s cannot be called from %[4]s: nothing was allowed for it. It can be called from %[5]s.",
		"%[3]s は %[4]s からは呼び出せません。許可を生成していません。呼び出せるリージョン: %[5]s。"}},
	"PG16": {iam.Error, bilingual{
		"%[3]s cannot be called by its own id in %[4]s; Bedrock answers \"on-demand throughput isn’t supported\", whatever is allowed. Use an inference profile: %[5]s.",
		"%[4]s では %[3]s をモデル ID のまま呼び出せません。許可があっても「on-demand throughput isn’t supported」になります。推論プロファイルを使います: %[5]s。"}},
	"PG17": {iam.Warning, bilingual{
		"which model is behind %[3]s is not known offline; assumed: %[4]s, through this profile only. To narrow it: say what it copies with --application '%[3]s=ID'.",
		"%[3]s の先のモデルはオフラインでは分かりません。仮定した範囲: %[4]s（このプロファイル経由のみ）。狭めるには、--application '%[3]s=ID' で複製元を指定します。"}},
	"PG18": {iam.Warning, bilingual{
		"%[3]s is not in the catalog; it was taken for what its form says.",
		"%[3]s はカタログにないため、ID の形から判断しました。"}},
}

// find notes a finding, once for each field.
func (g *generator) find(id string, k known, args ...string) {
	r, ok := rules[id]
	if !ok {
		panic("policygen: no rule " + id)
	}
	f := Finding{ID: id, Severity: r.severity, Field: k.field, Source: k.source, Args: args}
	if g.state != nil {
		f.State = g.state.Name
	}
	same := func(o Finding) bool {
		return o.ID == f.ID && o.State == f.State && o.Field == f.Field && o.Source == f.Source && slices.Equal(o.Args, f.Args)
	}
	if !slices.ContainsFunc(g.found, same) {
		g.found = append(g.found, f)
	}
}

// Where is the field that the finding is about.
func (f *Finding) Where() string {
	switch {
	case f.State == "":
		return f.Field
	case f.Field == "":
		return f.State
	}
	return f.State + "." + f.Field
}

// Text is the finding for a reader of lang: "ja", or English.
func (f *Finding) Text(lang string) string {
	r := rules[f.ID]
	format := r.en
	if lang == "ja" {
		format = r.ja
	}
	source := f.Source
	if source == "" {
		source = f.Field
	}
	text := format
	if strings.Contains(format, "%[") {
		args := []any{source, f.Where()}
		for _, a := range f.Args {
			args = append(args, a)
		}
		text = fmt.Sprintf(format, args...)
	}
	if lang != "ja" && strings.HasPrefix(text, format[:1]) {
		text = strings.ToUpper(text[:1]) + text[1:]
	}
	return text
}
