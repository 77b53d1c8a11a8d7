package iam

import (
	"fmt"
	"slices"
	"strings"

	"tokaido/value"
)

// Severity is how bad a finding is.
type Severity uint8

// The severities.
const (
	Info Severity = iota + 1
	Warning
	Error
)

var severityNames = []string{"", "info", "warning", "error"}

func (s Severity) String() string { return severityNames[s] }

// Finding is something about a policy that a specialist would point at.
type Finding struct {
	ID        string // BR01 … GN08: docs list them; "" for a mere observation
	Severity  Severity
	Layer     Layer  // of an explanation: where the policy binds
	Policy    string // its name
	Statement int    // from 0; -1: the document, or the absence of a statement
	Sid       string
	Element   string   // e.g. Resource, Action, "Condition.StringEquals.aws:SourceArn"
	Value     string   // what stands there
	Want      string   // what should stand there; "" if that cannot be said
	Args      []string // what Text needs besides

	variant string // of the text, if the ID has several
	meant   bool   // of an explanation: it was written for this very call
}

// texts of findings: %[1]s is Value, the rest are Args. Both languages say the
// same; neither is a translation for beginners.
type bilingual struct{ en, ja string }

func (b bilingual) in(lang string) string {
	if lang == "ja" {
		return b.ja
	}
	return b.en
}

var rules = map[string]struct {
	severity Severity
	bilingual
}{
	"BR01": {Error, bilingual{
		"foundation-model ARNs carry no Region prefix; %[2]s is an inference profile id. No such ARN exists, so this never matches.",
		"foundation-model の ARN に地域プレフィックスは付きません。%[2]s は推論プロファイルの ID です。このような ARN は存在しないため、決して一致しません。"}},
	"BR02": {Error, bilingual{
		"foundation models belong to no account: the account part of their ARN is empty. With %[2]s in it this never matches.",
		"基盤モデルはどのアカウントにも属さないため、ARN のアカウント部分は空です。%[2]s が入っているので、決して一致しません。"}},
	"BR03": {Error, bilingual{
		"inference profiles belong to an account: an empty account part never matches.",
		"推論プロファイルはアカウントのリソースです。アカウント部分が空の ARN は決して一致しません。"}},
	"BR03/other": {Error, bilingual{
		"this names account %[2]s; the caller's inference profiles are in %[3]s.",
		"アカウント %[2]s を指していますが、呼び出し元の推論プロファイルは %[3]s にあります。"}},
	"BR04": {Error, bilingual{
		"the inference profile is allowed, but the foundation model behind it nowhere. A call through a profile also needs the model in the source Region and in every destination Region: %[2]s.",
		"推論プロファイルは許可されていますが、その先の基盤モデルがどのリージョンでも許可されていません。プロファイル経由の呼び出しには、呼び出し元と転送先のすべてのリージョンのモデルに対する許可が必要です: %[2]s。"}},
	"BR04/none": {Error, bilingual{
		"nothing allows the foundation model in any Region that the profile may use: %[2]s.",
		"プロファイルが使うどのリージョンの基盤モデルも許可されていません: %[2]s。"}},
	"BR04/doc": {Error, bilingual{
		"an inference profile is allowed, but no foundation model; a call through a profile needs both.",
		"推論プロファイルは許可されていますが、基盤モデルが 1 つも許可されていません。プロファイル経由の呼び出しには両方が必要です。"}},
	"BR05": {Error, bilingual{
		"nothing allows the inference profile itself, %[2]s, which is the first thing that the call is checked for.",
		"推論プロファイル自体（%[2]s）を許可するステートメントがありません。呼び出しで最初に確認されるのはこのリソースです。"}},
	"BR06": {Error, bilingual{
		"the foundation model is not allowed in %[2]s of the %[3]s Regions that the profile may use from %[4]s: %[5]s. On AWS such a policy fails now and then, whenever a request is routed there.",
		"%[4]s からプロファイルが使う %[3]s リージョンのうち %[2]s リージョンで、基盤モデルが許可されていません: %[5]s。AWS 上では、そこへルーティングされたときだけ失敗する「ときどき動かない」ポリシーになります。"}},
	"BR06/jp": {Error, bilingual{
		"the foundation model is not allowed in %[5]s. A jp. profile runs in Tokyo (ap-northeast-1) and Osaka (ap-northeast-3), whichever of them it is called from; both are needed. On AWS such a policy fails now and then, whenever a request is routed there.",
		"%[5]s の基盤モデルが許可されていません。jp. プロファイルは、どちらから呼び出しても東京 (ap-northeast-1) と大阪 (ap-northeast-3) の両方で実行されるため、両方の許可が必要です。AWS 上では、そこへルーティングされたときだけ失敗する「ときどき動かない」ポリシーになります。"}},
	"BR06/layer": {Error, bilingual{
		"it does not allow the foundation model in %[2]s.",
		"%[2]s の基盤モデルを許可していません。"}},
	"BR05/layer": {Error, bilingual{
		"it does not allow the inference profile, %[2]s.",
		"推論プロファイル（%[2]s）を許可していません。"}},
	"BR07/layer": {Error, bilingual{
		"it does not allow the model without a Region that a global profile is checked for, %[2]s.",
		"グローバルプロファイルで確認される、リージョンのないモデル（%[2]s）を許可していません。"}},
	"near/layer": {Error, bilingual{
		"it does not allow %[2]s on %[3]s.",
		"%[3]s に対する %[2]s を許可していません。"}},
	"near/trust": {Error, bilingual{
		"it trusts %[3]s, not %[2]s. Whoever is to assume the role must be named here, by ARN or by account; if by account, their own policies must allow it too. The caller's policies alone are not enough.",
		"信頼しているのは %[3]s で、%[2]s ではありません。ロールを引き受ける側を、ここで指定する必要があります（アカウントで指定したときは、引き受ける側のポリシーでも許可が必要です）。引き受ける側のポリシーだけでは足りません。"}},
	"BR07": {Error, bilingual{
		"nothing allows %[2]s. A global profile is also checked for the model without a Region, with aws:RequestedRegion \"unspecified\".",
		"%[2]s を許可するステートメントがありません。グローバルプロファイルでは、リージョンのないモデル ARN も aws:RequestedRegion = \"unspecified\" で確認されます。"}},
	"BR07/pattern": {Error, bilingual{
		"%[2]s does not match the empty Region of %[3]s, which a global profile is checked for; only * does.",
		"%[2]s は、グローバルプロファイルで確認される %[3]s の空のリージョンに一致しません。一致するのは * だけです。"}},
	"BR08": {Error, bilingual{
		"this statement denies unless aws:RequestedRegion is one of %[2]s; on this call it is %[3]s. For a model behind an inference profile the key holds the Region of the model, not the one that was called.",
		"このステートメントは aws:RequestedRegion が %[2]s 以外のときに拒否します。この呼び出しでの値は %[3]s です。推論プロファイル経由のモデルでは、呼び出したリージョンではなくモデルのリージョンがこのキーに入ります。"}},
	"BR08/allow": {Error, bilingual{
		"the condition asks for aws:RequestedRegion %[2]s; on this call it is also %[3]s. For a model behind an inference profile the key holds the Region of the model.",
		"条件は aws:RequestedRegion が %[2]s であることを求めていますが、この呼び出しでは %[3]s にもなります。推論プロファイル経由のモデルでは、モデルのリージョンがこのキーに入ります。"}},
	"BR09": {Error, bilingual{
		"there is no action %[1]s. Converse is authorized as bedrock:InvokeModel, ConverseStream as bedrock:InvokeModelWithResponseStream.",
		"%[1]s というアクションはありません。Converse は bedrock:InvokeModel、ConverseStream は bedrock:InvokeModelWithResponseStream として認可されます。"}},
	"BR10": {Error, bilingual{
		"there is no such kind of resource: models are arn:aws:bedrock:REGION::foundation-model/ID, profiles arn:aws:bedrock:REGION:ACCOUNT:inference-profile/ID. This never matches.",
		"このような種類のリソースはありません。モデルは arn:aws:bedrock:REGION::foundation-model/ID、プロファイルは arn:aws:bedrock:REGION:ACCOUNT:inference-profile/ID です。決して一致しません。"}},
	"BR11": {Error, bilingual{
		"this is the profile of %[2]s; called in %[3]s, the profile's ARN carries %[3]s.",
		"これは %[2]s のプロファイルです。%[3]s で呼び出した場合、プロファイルの ARN のリージョンは %[3]s になります。"}},
	"BR12": {Error, bilingual{
		"%[2]s takes * and ? literally, so this is met by nothing; ArnLike knows wildcards.",
		"%[2]s では * と ? はただの文字として扱われるため、この条件は決して満たされません。ワイルドカードを使うには ArnLike にします。"}},
	"BR13": {Warning, bilingual{
		"%[2]s is also met when bedrock:InferenceProfileArn is absent, as it is when the model is called directly.",
		"%[2]s は、モデルを直接呼び出したとき（bedrock:InferenceProfileArn がないとき）にも満たされます。"}},
	"BR14": {Error, bilingual{
		"the statement is about profiles and models, but its condition on %[2]s can only be met for one of them: the key is absent on the other.",
		"プロファイルとモデルが同じステートメントにありますが、条件キー %[2]s は一方にしか存在しないため、もう一方では条件が満たされません。"}},
	"BR15": {Warning, bilingual{
		"only %[2]s is denied; %[3]s stays open for the same models.",
		"%[2]s だけが拒否されており、同じモデルを %[3]s で呼び出せます。"}},
	"BR15/stream": {Error, bilingual{
		"the call is authorized as %[2]s; only %[3]s is allowed.",
		"この呼び出しは %[2]s として認可されますが、許可されているのは %[3]s だけです。"}},
	"BR16": {Warning, bilingual{
		"every foundation model is allowed; the call needs one.",
		"すべての基盤モデルが許可されています。この呼び出しに必要なのは 1 つだけです。"}},
	"BR16/all": {Warning, bilingual{
		"every resource is allowed, and with it every model; the call needs one.",
		"すべてのリソース、つまりすべてのモデルが許可されています。この呼び出しに必要なのは 1 つだけです。"}},
	"BR17": {Warning, bilingual{
		"%[2]s and %[3]s are different kinds of resource; the call is through the latter.",
		"%[2]s と %[3]s は別の種類のリソースです。この呼び出しで使われるのは後者です。"}},
	"BR18": {Warning, bilingual{
		"a guardrail that is called with a version is ARN:VERSION in bedrock:GuardrailIdentifier; this also denies calls that name a version.",
		"バージョンを指定したガードレールは bedrock:GuardrailIdentifier に ARN:VERSION として入るため、バージョン付きの正しい呼び出しも拒否されます。"}},
	"BR19": {Warning, bilingual{
		"%[2]s has no resource types: it is only allowed with Resource \"*\".",
		"%[2]s にはリソースタイプがないため、Resource が \"*\" のときだけ許可されます。"}},
	"BR20": {Info, bilingual{
		"the id is cut short: the whole id is %[2]s.",
		"ID が途中で切れています。完全な ID は %[2]s です。"}},
	"BR20/likely": {Info, bilingual{
		"the id seems cut short: ids with a date end in -v1:0 or the like.",
		"ID が途中で切れているようです。日付を含む ID の末尾は -v1:0 のようになります。"}},
	"BR21": {Info, bilingual{
		"%[1]s is no permission that running a workflow needs.",
		"%[1]s はワークフローの実行に必要な権限ではありません。"}},
	"BR22": {Warning, bilingual{
		"%[2]s also covers Regions to which the profile never routes: %[3]s.",
		"%[2]s は、プロファイルがルーティングしないリージョンも含みます: %[3]s。"}},
	"BR22/unknown": {Warning, bilingual{
		"%[2]s may cover Regions to which the profile never routes.",
		"%[2]s は、プロファイルがルーティングしないリージョンを含むことがあります。"}},
	"BR23": {Error, bilingual{
		"%[2]s is a model's id; inference profile ids begin with a geography, such as jp. or global. This never matches.",
		"%[2]s はモデルの ID です。推論プロファイルの ID は jp. や global. などの地域プレフィックスで始まります。決して一致しません。"}},
	"BR24": {Error, bilingual{
		"resources compare with case: this differs from %[2]s in it, and never matches.",
		"リソースは大文字と小文字を区別します。%[2]s とは大文字小文字が異なるため、決して一致しません。"}},
	"SF01": {Error, bilingual{
		"iam:PassRole without a condition on iam:PassedToService hands the role to any service.",
		"iam:PassedToService の条件がない iam:PassRole では、ロールをどのサービスにも渡せてしまいます。"}},
	"SF02": {Error, bilingual{
		"Step Functions knows no managed rule of this name.",
		"この名前のマネージドルールは Step Functions にありません。"}},
	"SF03": {Warning, bilingual{
		"%[2]s has no resource types: it is only allowed with Resource \"*\".",
		"%[2]s にはリソースタイプがないため、Resource が \"*\" のときだけ許可されます。"}},
	"SF04": {Error, bilingual{
		"%[2]s is about a %[3]s; this never matches.",
		"%[2]s の対象は %[3]s です。決して一致しません。"}},
	"SF05": {Warning, bilingual{
		"states:StartExecution is checked for the unqualified ARN; the version or alias is in states:StateMachineQualifier.",
		"states:StartExecution は修飾なしの ARN で確認されます。バージョンやエイリアスは states:StateMachineQualifier に入ります。"}},
	"SF06": {Warning, bilingual{
		"without a condition on aws:SourceArn or aws:SourceAccount %[2]s may assume the role for anybody's resource.",
		"aws:SourceArn または aws:SourceAccount の条件がないと、%[2]s は他人のリソースのためにもこのロールを引き受けられます。"}},
	"SF07": {Error, bilingual{
		"aws:SourceArn holds the ARN of the state machine, not of an execution; this is met by nothing.",
		"aws:SourceArn に入るのは実行ではなくステートマシンの ARN です。この条件は決して満たされません。"}},
	"SF02/missing": {Error, bilingual{
		"a .sync task hears of the end of its job through the managed rule %[2]s, and nothing allows %[3]s on it: creating the machine fails with \"is not authorized to create managed-rule\".",
		".sync のタスクはマネージドルール %[2]s を通じてジョブの終了を知りますが、これに対する %[3]s が許可されていません。ステートマシンの作成が「is not authorized to create managed-rule」で失敗します。"}},
	"SF08": {Error, bilingual{
		"the function is called as %[2]s; this does not cover that: an ARN with a version or alias and one without do not cover each other.",
		"関数は %[2]s として呼び出されますが、これはその対象になりません。バージョンやエイリアスのある ARN とない ARN は、互いに相手を含みません。"}},
	"FD01": {Error, bilingual{
		"nothing allows %[2]s on %[3]s, which %[4]s needs.",
		"%[4]s に必要な、%[3]s に対する %[2]s が許可されていません。"}},
	"FD01/unknown": {Error, bilingual{
		"nothing allows %[2]s, which %[4]s needs on what is not known before it runs (%[3]s at most).",
		"%[4]s に必要な %[2]s が許可されていません。対象は実行するまで分かりません（最大で %[3]s）。"}},
	"FD02": {Warning, bilingual{
		"nothing in the definition needs this.",
		"定義の中に、これを必要とするものはありません。"}},
	"FD03": {Warning, bilingual{
		"this covers more than the definition needs: %[2]s.",
		"定義に必要な範囲を超えています。必要なもの: %[2]s。"}},
	"FD04": {Error, bilingual{
		"this Deny matches %[2]s on %[3]s, which %[4]s needs.",
		"この Deny は、%[4]s に必要な %[3]s に対する %[2]s に一致します。"}},
	"GN01": {Error, bilingual{
		"policy variables need \"Version\": \"2012-10-17\"; without it ${…} is literal text.",
		"ポリシー変数を使うには \"Version\": \"2012-10-17\" が必要です。ないと ${…} はただの文字列になります。"}},
	"GN02": {Warning, bilingual{
		"ForAllValues is also met when %[2]s is absent; add Null %[2]s \"false\".",
		"ForAllValues は %[2]s がないときにも満たされます。Null 条件で %[2]s を \"false\" にしてください。"}},
	"GN03": {Error, bilingual{
		"Bool \"false\" is not met when aws:MultiFactorAuthPresent is absent, as with long-term keys; use BoolIfExists.",
		"長期キーのように aws:MultiFactorAuthPresent がない場合、Bool \"false\" は満たされません。BoolIfExists を使います。"}},
	"GN04": {Error, bilingual{
		"%[2]s has several values: without ForAnyValue or ForAllValues the condition is never met.",
		"%[2]s は複数の値を持つキーです。ForAnyValue か ForAllValues がないと、条件は決して満たされません。"}},
	"GN05": {Warning, bilingual{
		"NotPrincipal also hits the account and the role behind whom it spares; Principal \"*\" with ArnNotEquals aws:PrincipalArn does not.",
		"NotPrincipal では、除外したい主体の背後にあるアカウントやロールまで対象になります。Principal \"*\" と ArnNotEquals aws:PrincipalArn を使います。"}},
	"GN06": {Warning, bilingual{
		"Allow with NotAction allows every action of every service but the listed.",
		"Allow と NotAction の組み合わせは、列挙したもの以外のすべてのサービスのすべてのアクションを許可します。"}},
	"GN07": {Error, bilingual{
		"an ARN has six parts; this has %[2]s and never matches.",
		"ARN は 6 つの部分からなりますが、これは %[2]s つしかないため、決して一致しません。"}},
	"GN07/account": {Error, bilingual{
		"a colon is missing before foundation-model: the account part of such an ARN is empty, but it is there. This never matches.",
		"foundation-model の前のコロンが 1 つ足りません。アカウント部分は空ですが、区切りのコロンは必要です。決して一致しません。"}},
	"GN07/missing": {Error, bilingual{
		"a part is missing before %[2]s, where Region and account belong. This never matches.",
		"%[2]s の前にあるべきリージョンまたはアカウントの部分が足りません。決して一致しません。"}},
	"GN08": {Warning, bilingual{
		"%[2]s denies all of it: this Allow is dead.",
		"%[2]s がすべて拒否しているため、この Allow は効きません。"}},
	"GN08/call": {Error, bilingual{
		"this Deny matches; no Allow can outweigh it.",
		"この Deny に一致しています。どの Allow よりも優先されます。"}},
	"near/resource": {Info, bilingual{
		"it allows the action, but not on %[2]s.",
		"アクションは許可していますが、%[2]s は対象ではありません。"}},
	"near/condition": {Info, bilingual{
		"it covers %[2]s, but its condition %[3]s is not met: the request has %[4]s.",
		"%[2]s は対象ですが、条件 %[3]s が満たされていません。リクエストの値は %[4]s です。"}},
	"near/none": {Error, bilingual{
		"no statement allows %[2]s on %[3]s.",
		"%[3]s に対する %[2]s を許可するステートメントがありません。"}},
}

// Rule is one rule that policies are held against.
type Rule struct {
	ID       string
	Severity Severity
	en, ja   string
}

// Title says in a few words what the rule is about.
func (r *Rule) Title(lang string) string { return bilingual{r.en, r.ja}.in(lang) }

// Rules lists all rules, by ID.
func Rules() []Rule {
	var out []Rule
	for id, title := range titles {
		out = append(out, Rule{id, rules[id].severity, title.en, title.ja})
	}
	slices.SortFunc(out, func(a, b Rule) int { return strings.Compare(a.ID, b.ID) })
	return out
}

var titles = map[string]bilingual{
	"BR01": {"geography prefix in a foundation-model ARN", "foundation-model の ARN に地域プレフィックスがある"},
	"BR02": {"account in a foundation-model ARN", "foundation-model の ARN にアカウントがある"},
	"BR03": {"no account, or another's, in an inference profile's ARN", "推論プロファイルの ARN のアカウントがないか異なる"},
	"BR04": {"inference profile without its models", "推論プロファイルだけでモデルの許可がない"},
	"BR05": {"models without the inference profile", "モデルだけで推論プロファイルの許可がない"},
	"BR06": {"destination Regions not covered", "転送先リージョンの不足"},
	"BR07": {"global profile without the Region-less model", "グローバルプロファイルに対するリージョンなしモデルの不足"},
	"BR08": {"condition on aws:RequestedRegion that a profile does not meet", "プロファイルでは満たされない aws:RequestedRegion の条件"},
	"BR09": {"operation that is no action", "アクションではないオペレーション名"},
	"BR10": {"kind of resource that does not exist", "存在しない種類のリソース"},
	"BR11": {"inference profile of another Region", "別のリージョンの推論プロファイル"},
	"BR12": {"wildcard in an operator that knows none", "ワイルドカードを解釈しない演算子での *"},
	"BR13": {"condition that a direct call meets", "直接呼び出しでも満たされる条件"},
	"BR14": {"one condition for profiles and models", "プロファイルとモデルに共通の条件"},
	"BR15": {"only one of the two ways to call a model", "モデル呼び出しの 2 つのアクションの一方だけ"},
	"BR16": {"every model allowed", "すべてのモデルの許可"},
	"BR17": {"other kind of inference profile", "種類の違う推論プロファイル"},
	"BR18": {"guardrail without its version", "バージョンのないガードレール"},
	"BR19": {"ARN for an action without resource types", "リソースタイプのないアクションへの ARN"},
	"BR20": {"model id cut short", "途中で切れたモデル ID"},
	"BR21": {"administration on an execution role", "実行ロールへの管理アクション"},
	"BR22": {"Regions beyond the profile's", "プロファイルの範囲を超えるリージョン"},
	"BR23": {"model id as an inference profile's", "推論プロファイル ID の位置にあるモデル ID"},
	"BR24": {"id in another case", "大文字小文字の違う ID"},
	"SF01": {"iam:PassRole without iam:PassedToService", "iam:PassedToService のない iam:PassRole"},
	"SF02": {"managed rule of .sync", ".sync のマネージドルール"},
	"SF03": {"log delivery scoped to an ARN", "ARN で絞ったログ配信アクション"},
	"SF04": {"execution and state machine ARNs mixed up", "実行とステートマシンの ARN の取り違え"},
	"SF05": {"qualified ARN in StartExecution", "StartExecution の修飾付き ARN"},
	"SF06": {"trust without a source", "送信元の条件がない信頼ポリシー"},
	"SF07": {"execution in aws:SourceArn", "aws:SourceArn の実行 ARN"},
	"SF08": {"Lambda qualifier mismatch", "Lambda の修飾子の不一致"},
	"FD01": {"permission that the definition needs is missing", "定義に必要な許可の不足"},
	"FD02": {"permission that the definition does not need", "定義に不要な許可"},
	"FD03": {"permission wider than the definition needs", "定義に必要な範囲を超える許可"},
	"FD04": {"Deny of what the definition needs", "定義に必要なものを拒否する Deny"},
	"GN01": {"policy variables without the version", "バージョン指定のないポリシー変数"},
	"GN02": {"ForAllValues without a Null guard", "Null の条件がない ForAllValues"},
	"GN03": {"Bool false on a key that may be absent", "存在しないことがあるキーの Bool false"},
	"GN04": {"no set operator on a multivalued key", "複数値キーの集合演算子の不足"},
	"GN05": {"NotPrincipal", "NotPrincipal"},
	"GN06": {"Allow with NotAction", "NotAction を使った Allow"},
	"GN07": {"ARN with fewer than six parts", "6 つの部分に満たない ARN"},
	"GN08": {"dead Allow", "効果のない Allow"},
}

func newFinding(key string, args ...string) Finding {
	r, ok := rules[key]
	if !ok {
		panic("iam: no rule " + key)
	}
	id, variant, _ := strings.Cut(key, "/")
	if id == "near" {
		id, variant = "", key
	} else if variant != "" {
		variant = key
	}
	return Finding{ID: id, Severity: r.severity, Statement: -1, Args: args, variant: variant}
}

// Text says what is wrong, without saying where.
func (f *Finding) Text(lang string) string {
	key := f.variant
	if key == "" {
		key = f.ID
	}
	args := []any{f.Value}
	for _, a := range f.Args {
		switch {
		case a == "-":
			a = bilingual{"nothing", "（なし）"}.in(lang)
		case lang == "ja":
			a = japanese(a)
		}
		args = append(args, a)
	}
	text := rules[key].in(lang)
	if word, _, _ := strings.Cut(text, " "); lang != "ja" && !strings.ContainsAny(word, "%:.-") {
		text = strings.ToUpper(text[:1]) + text[1:]
	}
	if strings.Contains(text, "%[") {
		text = fmt.Sprintf(text, args...) // a format uses what it needs of them
	}
	if lang == "ja" {
		return tight(text)
	}
	return text
}

// japanese writes lists and the Japanese cities as Japanese does.
func japanese(s string) string {
	return strings.NewReplacer(" (Tokyo)", "（東京）", " (Osaka)", "（大阪）", ", ", "、").Replace(s)
}

// tight leaves no space beside full-width brackets.
func tight(s string) string {
	return strings.NewReplacer("） ", "）", " （", "（", "」 ", "」").Replace(s)
}

// Where says where it is, e.g. policy "X", Statement[0] (Sid Y), Resource.
func (f *Finding) Where(lang string) string {
	var parts []string
	if f.Policy != "" {
		parts = append(parts, bilingual{"policy %q", "ポリシー「%s」"}.format(lang, f.Policy))
	}
	if f.Statement >= 0 {
		s := fmt.Sprintf("Statement[%d]", f.Statement)
		if f.Sid != "" {
			s += bilingual{" (Sid %s)", "（Sid: %s）"}.format(lang, f.Sid)
		}
		parts = append(parts, s)
	}
	if f.Element != "" {
		parts = append(parts, f.Element)
	}
	return tight(strings.Join(parts, bilingual{", ", " の "}.in(lang)))
}

func (b bilingual) format(lang string, args ...any) string { return fmt.Sprintf(b.in(lang), args...) }

func (f *Finding) value() value.Value {
	str := func(s string) value.Value {
		if s == "" {
			return value.Value{}
		}
		return value.String(s)
	}
	var st value.Value
	if f.Statement >= 0 {
		st = value.Int(int64(f.Statement))
	}
	return value.Object(
		value.Member{Key: "id", Value: str(f.ID)},
		value.Member{Key: "severity", Value: str(f.Severity.String())},
		value.Member{Key: "layer", Value: str(f.Layer.String())},
		value.Member{Key: "policy", Value: str(f.Policy)},
		value.Member{Key: "statement", Value: st},
		value.Member{Key: "sid", Value: str(f.Sid)},
		value.Member{Key: "element", Value: str(f.Element)},
		value.Member{Key: "value", Value: str(f.Value)},
		value.Member{Key: "want", Value: str(f.Want)},
		value.Member{Key: "text", Value: str(f.Text("en"))},
		value.Member{Key: "textJa", Value: str(f.Text("ja"))},
	)
}
