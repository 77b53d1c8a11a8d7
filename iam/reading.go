package iam

import (
	"fmt"
	"slices"
	"strings"

	"tokaido/value"
)

// Reading is a refusal of which nothing is known but its text: which call it
// can have been about, what that needs, and what would allow it.
type Reading struct {
	Refusal Refusal
	// Calls are the calls of models that it can have been about, likeliest
	// first; none if it is about no model.
	Calls []*CallShape
}

// Grants are what allows the likeliest call.
func (r *Reading) Grants() []Grant {
	if len(r.Calls) > 0 {
		if gs, err := r.Calls[0].Grants(r.Refusal.Action); err == nil {
			return gs
		}
	}
	n := Authorization{Action: r.Refusal.Action, Resource: r.Refusal.Resource}
	return []Grant{{Name: title(n.Action), Actions: []string{n.Action}, Resources: []string{n.pattern()}}}
}

// Needs are what the likeliest call is checked for.
func (r *Reading) Needs() []Authorization {
	if len(r.Calls) > 0 {
		return r.Calls[0].Authorizations(r.Refusal.Action)
	}
	return []Authorization{{Action: r.Refusal.Action, Resource: r.Refusal.Resource}}
}

// Text tells it to a reader of lang: "ja", or English.
func (r *Reading) Text(lang string) string {
	t := &teller{e: &Explanation{}, lang: lang}
	x := &r.Refusal
	who := x.By.ARN
	if who == "" {
		who = x.By.Service
	}
	t.say("%[1]s was refused %[2]s on %[3]s.", "%[1]s による %[3]s への %[2]s が拒否されました。", who, x.Action, x.Resource)
	layer := ""
	if x.Layer != NoLayer {
		layer = layerTitles[x.Layer].in(lang)
	}
	switch {
	case x.Explicit && x.PolicyARN != "":
		t.say("A Deny statement in a %[1]s refuses it: %[2]s. No Allow can outweigh that.", "%[1]sの Deny ステートメントが拒否しています: %[2]s。どの Allow でも覆せません。", layer, x.PolicyARN)
	case x.Explicit:
		t.say("A Deny statement in a %[1]s refuses it. No Allow can outweigh that.", "%[1]sの Deny ステートメントが拒否しています。どの Allow でも覆せません。", layer)
	case x.Layer != NoLayer:
		t.say("No %[1]s allows it.", "これを許可する%[1]sがありません。", layer)
	default:
		t.say("The text does not say which policy refuses it.", "どのポリシーが拒否したのか、このメッセージからは分かりません。")
	}
	t.say("", "")
	if len(r.Calls) > 0 {
		r.call(t)
	}
	r.advice(t, layer)
	return strings.TrimRight(t.b.String(), "\n") + "\n"
}

func (r *Reading) call(t *teller) {
	c := r.Calls[0]
	if len(r.Calls) > 1 {
		t.say("It can have been about any of these calls (--model and --region say which):", "次のいずれかの呼び出しと考えられます（--model と --region で指定できます）:")
		for _, s := range r.Calls {
			fmt.Fprintf(&t.b, "  %s  %s\n", s.Requested, t.place(s.Region))
		}
		t.say("", "")
		t.say("If it was the first:", "最初のものだとすると:")
	}
	as := c.Authorizations(r.Refusal.Action)
	switch {
	case c.ProfileARN == "":
		t.say("A direct call of the model %[1]s in %[2]s is checked for one resource:", "%[2]s でモデル %[1]s を直接呼び出すと、1 つのリソースが確認されます:", c.Model, t.place(c.Region))
	case c.Global():
		t.say("A call of %[1]s from %[2]s is checked for %[3]d resources: the profile, the model in the Region of the call, and the model without a Region (aws:RequestedRegion is \"unspecified\" there):",
			"%[2]s から %[1]s を呼び出すと、プロファイル、呼び出し元リージョンのモデル、リージョンのないモデル（aws:RequestedRegion は \"unspecified\"）の %[3]d つのリソースが確認されます:", c.Requested, t.place(c.Region), len(as))
	default:
		t.say("A call of %[1]s from %[2]s is checked for %[3]d resources: the profile, and the model in each Region that it may run in:",
			"%[2]s から %[1]s を呼び出すと、プロファイルと、実行されうる各リージョンのモデル、あわせて %[3]d 個のリソースが確認されます:", c.Requested, t.place(c.Region), len(as))
	}
	t.say("", "")
	found := false
	for _, a := range as {
		mark := bilingual{"       ", "      "}
		if a.Resource == r.Refusal.Resource {
			mark, found = bilingual{"refused", "拒否  "}, true
		}
		fmt.Fprintf(&t.b, "  %s  %s\n", mark.in(t.lang), a.Resource)
	}
	if !found {
		fmt.Fprintf(&t.b, "  %s  %s\n", bilingual{"refused", "拒否  "}.in(t.lang), r.Refusal.Resource)
	}
	t.say("", "")
	if found && len(as) > 1 {
		t.say("A refusal names one resource. Unless the others are allowed, they are refused next, one after the other; models in other Regions only when a request is routed there.",
			"エラーに出るリソースは 1 つだけです。ほかが許可されていなければ、順に次のエラーになります。他リージョンのモデルは、そこへルーティングされたときだけ失敗します。")
		t.say("", "")
	}
}

func (r *Reading) advice(t *teller, layer string) {
	x := &r.Refusal
	if x.Explicit {
		region := ""
		for _, n := range r.Needs() {
			if a := find(n.Context, "aws:RequestedRegion"); n.Resource == x.Resource && a != nil {
				region = a.Values[0]
			}
		}
		if region != "" {
			t.say("If it is a guard on Regions: aws:RequestedRegion is %[1]s for this resource. Narrow the Deny so that it spares the models behind this profile (ArnNotEquals bedrock:InferenceProfileArn), or add the Region; do not take it away.",
				"リージョンを制限する Deny であれば、このリソースでの aws:RequestedRegion は %[1]s です。Deny を削除せず、このプロファイル経由のモデルを対象から外す（ArnNotEquals bedrock:InferenceProfileArn）か、リージョンを加えます。", t.place(region))
		} else {
			t.say("Narrow the Deny so that it spares this; do not take it away.", "Deny を削除せず、これを対象から外すように狭めます。")
		}
		t.say("With that policy (--policy FILE) the change can be shown as a diff.", "そのポリシーを --policy FILE で渡すと、変更を差分で示します。")
		return
	}
	switch x.Layer {
	case LayerIdentity, NoLayer:
		t.say("This would allow the whole call, in a policy of the role or user:", "ロールまたはユーザーのポリシーで、次の内容が呼び出し全体を許可します:")
	case LayerTrust:
		t.say("The role's trust policy must name the caller; a policy of the caller is not enough.", "呼び出し元のポリシーではなく、ロールの信頼ポリシーで呼び出し元を許可する必要があります。")
		return
	default:
		t.say("The %[1]s must allow this, besides the policies of the role or user:", "ロールやユーザーのポリシーに加えて、%[1]sでも次の内容を許可する必要があります:", layer)
	}
	t.say("", "")
	if p, err := Merge(r.Grants()); err == nil {
		t.b.WriteString(p.JSON())
	}
	t.say("", "")
	t.say("With the policy as it is (--policy FILE) it can be said why it does not match, and the change shown as a diff.", "今のポリシーを --policy FILE で渡すと、一致しない理由と変更の差分を示します。")
}

// Value is the reading as data.
func (r *Reading) Value() value.Value {
	str := func(s string) value.Value {
		if s == "" {
			return value.Value{}
		}
		return value.String(s)
	}
	var calls, needs []value.Value
	for _, c := range r.Calls {
		calls = append(calls, value.Object(value.Member{Key: "modelId", Value: value.String(c.Requested)}, value.Member{Key: "region", Value: value.String(c.Region)}))
	}
	for _, n := range r.Needs() {
		needs = append(needs, value.Object(value.Member{Key: "action", Value: value.String(n.Action)}, value.Member{Key: "resource", Value: value.String(n.Resource)}, value.Member{Key: "context", Value: n.Context.value()}))
	}
	x := &r.Refusal
	m := []value.Member{
		{Key: "caller", Value: str(x.By.ARN)}, {Key: "action", Value: value.String(x.Action)}, {Key: "resource", Value: value.String(x.Resource)},
		{Key: "layer", Value: str(x.Layer.String())}, {Key: "explicit", Value: truth(x.Explicit)}, {Key: "policyArn", Value: str(x.PolicyARN)},
		{Key: "calls", Value: value.Array(calls...)}, {Key: "needs", Value: value.Array(needs...)},
	}
	if p, err := Merge(r.Grants()); err == nil && !x.Explicit {
		m = append(m, value.Member{Key: "policy", Value: p.doc})
	}
	return value.Object(m...)
}

// assumed is what Bind calls the policy of which nothing is known.
const assumed = "assumed"

// Bind puts policies of which a refusal is said to come where it says that they
// stand: in a layer other than the caller's own policies, which then are taken
// to allow everything.
func (r *Refusal) Bind(bounds []Bound) *Policies {
	everything := []Bound{{Name: assumed, ARN: "arn:aws:iam::aws:policy/AdministratorAccess",
		Policy: MustParse(IdentityPolicy, `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"*","Resource":"*"}]}`)}}
	switch r.Layer {
	case LayerSCP:
		// What the level allows otherwise is not known; a Deny is what counts.
		if r.Explicit {
			return &Policies{Identity: everything, SCP: [][]Bound{append(slices.Clone(bounds), everything...)}}
		}
		return &Policies{Identity: everything, SCP: [][]Bound{bounds}}
	case LayerRCP:
		return &Policies{Identity: everything, RCP: [][]Bound{bounds}}
	case LayerBoundary:
		if len(bounds) == 1 {
			return &Policies{Identity: everything, Boundary: &bounds[0]}
		}
	case LayerSession:
		return &Policies{Identity: everything, Session: bounds}
	case LayerResource, LayerTrust:
		if len(bounds) == 1 {
			return &Policies{Identity: everything, Resource: &bounds[0]}
		}
	}
	return &Policies{Identity: bounds}
}

// KindOf is what a policy of the layer must be parsed as.
func (l Layer) KindOf() Kind {
	switch l {
	case LayerSCP:
		return ServiceControlPolicy
	case LayerRCP:
		return ResourceControlPolicy
	case LayerBoundary:
		return Boundary
	case LayerSession:
		return SessionPolicy
	case LayerResource:
		return ResourcePolicy
	case LayerTrust:
		return TrustPolicy
	}
	return IdentityPolicy
}
