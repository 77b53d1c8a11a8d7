package iam

import (
	"fmt"
	"slices"
	"strings"
)

// Text is the explanation for a reader of lang: "ja", or English.
func (e Explanation) Text(lang string) string {
	t := &teller{e: &e, lang: lang}
	t.head()
	t.parts()
	if e.Allowed {
		t.notes()
		return strings.TrimRight(t.b.String(), "\n") + "\n"
	}
	t.why()
	t.next()
	t.notes()
	t.fix()
	return strings.TrimRight(t.b.String(), "\n") + "\n"
}

// teller writes an explanation in one language.
type teller struct {
	e    *Explanation
	lang string
	b    strings.Builder
}

// say writes a line; both languages use the same arguments.
func (t *teller) say(en, ja string, args ...any) {
	line := bilingual{en, ja}.in(t.lang)
	if strings.Contains(line, "%") {
		line = fmt.Sprintf(line, args...)
	}
	if t.lang == "ja" {
		line = tight(line)
	}
	t.b.WriteString(line + "\n")
}

func (t *teller) place(region string) string {
	if t.lang == "ja" {
		return japanese(city(region))
	}
	return city(region)
}

func (t *teller) head() {
	e := t.e
	who := e.Call.By.ARN
	if who == "" {
		who = e.Call.By.Service
	}
	if m := e.Call.Model; m != nil && len(e.Parts) > 0 {
		verdict := bilingual{"is refused", "拒否されます"}
		if e.Allowed {
			verdict = bilingual{"is allowed", "許可されます"}
		}
		id := m.Requested
		if id == "" {
			id = m.Profile
		}
		if id == "" {
			id = m.Model
		}
		t.say("%[1]s with %[2]s in %[3]s %[4]s.", "%[3]s での %[2]s の呼び出し (%[1]s) は%[4]s。", e.Parts[0].Need.Action, id, t.place(m.Region), verdict.in(t.lang))
	} else if e.Allowed {
		t.say("The call is allowed.", "この呼び出しは許可されます。")
	} else {
		t.say("The call is refused.", "この呼び出しは拒否されます。")
	}
	t.say("Caller: %s", "呼び出し元: %s", who)
	t.say("", "")
}

func (t *teller) parts() {
	e := t.e
	if len(e.Parts) == 0 {
		t.say("It needs no permission.", "必要な権限はありません。")
		return
	}
	denied := 0
	for i := range e.Parts {
		if !e.Parts[i].Decision.Allowed {
			denied++
		}
	}
	n, own := len(e.Parts), 0
	for i := range e.Parts {
		if e.Parts[i].Kind != PartOther {
			own++
		}
	}
	m := e.Call.Model
	switch {
	case m == nil || m.ProfileARN == "":
	case m.Global():
		t.say("A call through a global inference profile is checked for %[1]d resources: the profile, the foundation model in the Region of the call, and the foundation model without a Region.",
			"グローバル推論プロファイル経由の呼び出しでは、プロファイル、呼び出し元リージョンの基盤モデル、リージョンのない基盤モデルの %[1]d つのリソースが確認されます。", own)
	default:
		t.say("A call through this inference profile is checked for %[1]d resources: the profile in the Region of the call, and the foundation model in each of the %[2]d Regions that it may run in.",
			"この推論プロファイル経由の呼び出しでは、呼び出し元リージョンのプロファイルと、実行されうる %[2]d リージョンそれぞれの基盤モデル、あわせて %[1]d 個のリソースが確認されます。", own, len(m.ModelRegions()))
	}
	if m != nil && m.ProfileARN != "" && n > own {
		t.say("It needs %[1]d more besides.", "ほかに %[1]d 個の権限も必要です。", n-own)
	}
	switch {
	case n == 1 && denied == 0:
		t.say("Allowed:", "許可されています:")
	case n == 1:
		t.say("Not allowed:", "許可されていません:")
	case denied == 0:
		t.say("All are allowed:", "すべて許可されています:")
	case denied == n:
		t.say("None is allowed:", "1 つも許可されていません:")
	default:
		t.say("%[1]d of the %[2]d not allowed:", "%[2]d 個のうち %[1]d 個が許可されていません:", denied, n)
	}
	t.say("", "")
	for i := range e.Parts {
		p := &e.Parts[i]
		mark := bilingual{"ok     ", "許可  "}
		switch {
		case p.Decision.Explicit:
			mark = bilingual{"denied ", "拒否  "}
		case !p.Decision.Allowed:
			mark = bilingual{"missing", "不足  "}
		}
		what := p.Need.Resource
		if p.Kind == PartOther { // of a model's call the head says which action
			what = p.Need.Action + "  " + what
		}
		fmt.Fprintf(&t.b, "  %s  %s\n", mark.in(t.lang), what)
		if !p.Decision.Allowed && p.Decision.Layer != LayerIdentity {
			fmt.Fprintf(&t.b, "           %s\n", t.layerRefuses(p))
		}
	}
	t.say("", "")
}

var layerTitles = [numLayers]bilingual{
	LayerSCP:      {"service control policy", "サービスコントロールポリシー (SCP)"},
	LayerRCP:      {"resource control policy", "リソースコントロールポリシー (RCP)"},
	LayerResource: {"resource-based policy", "リソースベースのポリシー"},
	LayerTrust:    {"role trust policy", "ロールの信頼ポリシー"},
	LayerIdentity: {"identity-based policy", "アイデンティティベースのポリシー"},
	LayerBoundary: {"permissions boundary", "アクセス許可の境界"},
	LayerSession:  {"session policy", "セッションポリシー"},
}

func (t *teller) layerRefuses(p *Part) string {
	title := layerTitles[p.Decision.Layer].in(t.lang)
	if p.Decision.Explicit {
		return bilingual{"denied by the %s", "%sで明示的に拒否"}.format(t.lang, title)
	}
	return bilingual{"not allowed by the %s", "%sで許可されていない"}.format(t.lang, title)
}

func (t *teller) finding(f *Finding) {
	where := f.Where(t.lang)
	if f.Layer != LayerIdentity && f.Layer != NoLayer {
		title := layerTitles[f.Layer].in(t.lang)
		switch generic := (bilingual{"policy", "ポリシー"}).in(t.lang); {
		case f.Policy != "":
			where = title + strings.TrimPrefix(where, generic)
		case where == "":
			where = title
		default:
			where = title + bilingual{", ", " の "}.in(t.lang) + where
		}
	}
	id := ""
	if f.ID != "" {
		id = "[" + f.ID + "] "
	}
	if where == "" {
		fmt.Fprintf(&t.b, "- %s%s\n", id, f.Text(t.lang))
		return
	}
	fmt.Fprintf(&t.b, "- %s%s:\n", id, where)
	if f.Value != "" && strings.HasSuffix(f.Element, "Resource") {
		fmt.Fprintf(&t.b, "    %s\n", f.Value)
	}
	fmt.Fprintf(&t.b, "  %s\n", f.Text(t.lang))
}

// list writes the findings that are causes, or those that are not.
func (t *teller) list(causes bool, en, ja string) {
	first := true
	for i := range t.e.Findings {
		f := &t.e.Findings[i]
		if (f.Severity != Warning) != causes {
			continue
		}
		if first {
			t.say(en, ja)
			first = false
		}
		t.finding(f)
	}
	if !first {
		t.say("", "")
	}
}

func (t *teller) why() { t.list(true, "Why:", "理由:") }

func (t *teller) notes() { t.list(false, "Worth knowing:", "参考:") }

// title names a part in a sentence.
func (t *teller) title(p *Part) string {
	switch p.Kind {
	case PartProfile:
		return bilingual{"the inference profile", "推論プロファイル"}.in(t.lang)
	case PartModel, PartSource, PartDestination:
		return bilingual{"the model in %s", "%s のモデル"}.format(t.lang, t.place(p.Region))
	case PartGlobal:
		return bilingual{"the model without a Region", "リージョンのないモデル"}.in(t.lang)
	}
	return p.Need.Action + " " + p.Need.Resource
}

// next tells what AWS does not: its refusal names one part, and repairing that
// one alone only leads to the next refusal.
func (t *teller) next() {
	e := t.e
	if len(e.Next) == 0 {
		return
	}
	first, second, more := t.title(&e.Parts[e.Refused]), t.title(&e.Parts[e.Next[0]]), len(e.Next)-1
	t.say("AWS names only the first of these in its refusal: %[1]s.", "エラーメッセージに出るのは、このうち最初の 1 つ（%[1]s）だけです。", first)
	if more == 0 {
		t.say("With that alone allowed, the call would next be refused for %[1]s.", "それだけを許可しても、次は、%[1]sで拒否されます。", second)
	} else {
		t.say("With that alone allowed, the call would next be refused for %[1]s, and then for %[2]d more, one after the other.",
			"それだけを許可しても、次は、%[1]sで、その後も残り %[2]d 件で順に拒否されます。", second, more)
	}
	t.say("", "")
}

func (t *teller) fix() {
	e := t.e
	if len(e.Fixes) == 0 {
		if slices.ContainsFunc(e.Parts, func(p Part) bool { return p.Decision.Explicit }) {
			t.say("No Allow outweighs a Deny. The statement that denies must be changed by those who own it.",
				"Allow を追加しても Deny は覆せません。拒否しているステートメントを、その管理者が変更する必要があります。")
		} else if slices.ContainsFunc(e.Findings, func(f Finding) bool { return f.variant == "near/condition" }) {
			t.say("The condition is there on purpose: make the call meet it, or ask those who own the policy. An Allow without it would go around it.",
				"この条件は意図して付けられたものです。条件を満たすように呼び出すか、ポリシーの管理者に相談してください。条件のない Allow を追加すると、条件を迂回することになります。")
		} else {
			t.say("There is no policy here that could be changed to allow the call.", "変更して許可できるポリシーはありません。")
		}
		return
	}
	for _, f := range e.Fixes {
		title := layerTitles[f.Layer].in(t.lang)
		name := f.Policy
		if f.ARN != "" {
			name = f.ARN
		}
		owner := ""
		if f.Owner != "" {
			owner = bilingual{" of %s", "（%s）"}.format(t.lang, f.Owner)
		}
		if f.New {
			t.say("Fix: a new %[1]s %[2]q%[3]s:", "修正: 次の%[1]s「%[2]s」%[3]s を新しく追加します:", title, name, owner)
		} else {
			t.say("Fix: the %[1]s %[2]q%[3]s:", "修正: %[1]s「%[2]s」%[3]s を次のように変更します:", title, name, owner)
		}
		t.say("", "")
		t.b.WriteString(f.Diff)
		if !strings.HasSuffix(f.Diff, "\n") {
			t.b.WriteByte('\n')
		}
		t.say("", "")
	}
	if !e.Fixed {
		t.say("With this the call is still refused: what is left is a Deny, or a policy that those who own it must change.",
			"この変更だけではまだ拒否されます。残りは Deny によるもの、または管理者による変更が必要なポリシーです。")
		return
	}
	n := len(e.Parts)
	if n == 1 && len(e.Wider) == 0 {
		t.say("Evaluated again with this: it is allowed, and of %[1]d neighbouring requests (other actions, Regions, resources, accounts) none becomes allowed.",
			"変更後のポリシーで再評価しました。この呼び出しは許可され、周辺のリクエスト %[1]d 件（別のアクション、リージョン、リソース、アカウント）のうち新たに許可されたものはありません。", e.Probed)
		return
	}
	if len(e.Wider) == 0 {
		t.say("Evaluated again with this: all %[1]d are allowed, and of %[2]d neighbouring requests (other actions, Regions, models, profiles, accounts) none becomes allowed.",
			"変更後のポリシーで再評価しました。%[1]d 個すべてが許可され、周辺のリクエスト %[2]d 件（別のアクション、リージョン、モデル、プロファイル、アカウント）のうち新たに許可されたものはありません。", n, e.Probed)
		return
	}
	t.say("Evaluated again with this: all %[1]d are allowed. So is this, which was not before, because the statement does not tell them apart:",
		"変更後のポリシーで再評価しました。%[1]d 個すべてが許可されます。ステートメントが区別していないため、次のものも新たに許可されます:", n)
	for _, a := range e.Wider {
		fmt.Fprintf(&t.b, "  %s  %s\n", a.Action, a.Resource)
	}
}
