package residency

import (
	"cmp"
	"encoding/csv"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"

	"tokaido/bedrock/catalog"
	"tokaido/value"
)

// Printer prints reports.
type Printer struct {
	Catalog *catalog.Catalog
	Lang    string // en or ja
	Source  string // where the calls come from, for people
	Now     time.Time
}

// say is a text in the printer's language.
func (p *Printer) say(en, ja string) string {
	if p.Lang == "ja" {
		return ja
	}
	return en
}

// words are what a By is called, and what stands for an empty key of it.
var words = map[By]struct{ en, ja, noneEN, noneJA string }{
	ByProfile:   {"Inference profile", "推論プロファイル", "(none: the model itself)", "（なし：モデルを直接指定）"},
	ByModel:     {"Model", "モデル", "", ""},
	ByPrincipal: {"Principal", "プリンシパル", "", ""},
	ByWorkflow:  {"Workflow", "ワークフロー", "(none: a client's own call)", "（なし：クライアントの直接呼び出し）"},
	ByEvent:     {"Operation", "オペレーション", "", ""},
	BySource:    {"Called in", "呼び出し元リージョン", "", ""},
	ByMonth:     {"Month", "月", "", ""},
	ByDay:       {"Day", "日", "", ""},
	ByHour:      {"Hour", "時", "", ""},
}

func (p *Printer) by(b By) string { return p.say(words[b].en, words[b].ja) }

// nothing is what stands for an empty key.
func (p *Printer) nothing(b By) string {
	return p.say(cmp.Or(words[b].noneEN, "(not told)"), cmp.Or(words[b].noneJA, "（不明）"))
}

func (p *Printer) key(b By, s string) string {
	if s == "" {
		return p.nothing(b)
	}
	return s
}

// region is a Region's code with its city.
func (p *Printer) region(code string) string {
	if p.Catalog != nil {
		if r, ok := p.Catalog.Region(code); ok {
			return code + " " + p.say(r.Short, r.ShortJA)
		}
	}
	return code
}

// city is a Region's city; its code where that is not known.
func (p *Printer) city(code string) string {
	if name, ok := strings.CutPrefix(p.region(code), code+" "); ok {
		return name
	}
	return code
}

func (p *Printer) period(r *Report) string {
	const day = "2006-01-02 15:04"
	from, to := r.Since, r.Until
	if from.IsZero() {
		from = r.First
	}
	if to.IsZero() {
		to = r.Last
	}
	only := ""
	if r.Profile != "" {
		only = p.say(", through ", "、プロファイル：") + r.Profile
	}
	if from.IsZero() && to.IsZero() {
		return p.say("no calls", "呼び出しなし") + only
	}
	at := func(t time.Time) string {
		if t.IsZero() {
			return "…"
		}
		return t.UTC().Format(day)
	}
	return at(from) + " – " + at(to) + " UTC" + only
}

func percent(f float64) string { return strconv.FormatFloat(100*f, 'f', 1, 64) + " %" }

// number groups digits.
func number(n int64) string {
	s := strconv.FormatInt(n, 10)
	for i := len(s) - 3; i > 0 && s[i-1] != '-'; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

// width is how many columns of a terminal s takes.
func width(s string) (n int) {
	for _, c := range s {
		n++
		if c >= 0x1100 && (c <= 0x115f || c >= 0x2e80 && c <= 0xa4cf || c >= 0xac00 && c <= 0xd7a3 || c >= 0xf900 && c <= 0xfaff || c >= 0xfe30 && c <= 0xfe6f || c >= 0xff00 && c <= 0xff60 || c >= 0xffe0 && c <= 0xffe6) {
			n++
		}
	}
	return n
}

// columns prints lines of cells; those after left are aligned to the right.
func columns(w io.Writer, left int, lines [][]string) error {
	var widths []int
	for _, l := range lines {
		for i, c := range l {
			if i == len(widths) {
				widths = append(widths, 0)
			}
			widths[i] = max(widths[i], width(c))
		}
	}
	for _, l := range lines {
		var b strings.Builder
		for i, c := range l {
			if i > 0 {
				b.WriteString("  ")
			}
			pad := strings.Repeat(" ", widths[i]-width(c))
			if i < left {
				b.WriteString(c + pad)
			} else {
				b.WriteString(pad + c)
			}
		}
		if _, err := fmt.Fprintln(w, strings.TrimRight(b.String(), " ")); err != nil {
			return err
		}
	}
	return nil
}

// shownLeft is how many of the calls that left are printed for people.
const shownLeft = 50

// head is the first line of a table.
func (p *Printer) head(r *Report) (head []string) {
	for _, b := range r.By {
		head = append(head, p.by(b))
	}
	return append(head, p.say("Region", "リージョン"), p.say("Calls", "呼び出し"), p.say("Share", "割合"), p.say("Input tokens", "入力トークン"), p.say("Output tokens", "出力トークン"))
}

// cells is a line of a table: after the names of its row.
func (p *Printer) cells(r *Report, names []string, l line) []string {
	cells := append([]string(nil), names...)
	switch l.status {
	case failed:
		return append(cells, p.say("none: failed", "なし：失敗"), number(l.cell.Calls), "", "", "")
	case unknown:
		return append(cells, p.say("not known", "不明"), number(l.cell.Calls), "", "", "")
	}
	name := p.region(l.region)
	if r.Boundary != nil && !r.Boundary.Has(l.region) {
		name += p.say(" (outside)", "（境界外）")
	}
	return append(cells, name, number(l.cell.Calls), percent(l.share), number(l.cell.Input), number(l.cell.Output))
}

// names are the names of a row, one for each of By.
func (p *Printer) names(r *Report, row *Row) []string {
	names := make([]string, len(r.By))
	switch {
	case row == &r.Total:
		names[0] = p.say("Total", "合計")
	case row == &r.Rest:
		names[0] = p.say("(further rows)", "（以降の行）")
	default:
		for i, b := range r.By {
			names[i] = p.key(b, row.Key[i])
		}
	}
	return names
}

// Text prints a report for people.
func (p *Printer) Text(w io.Writer, r *Report) error {
	fmt.Fprintf(w, "%s\n%s\n\n", p.say("Where inferences ran", "推論が実行されたリージョン"), p.period(r))
	lines := [][]string{p.head(r)}
	for _, row := range slices.Concat(r.Rows, r.rest(), []*Row{&r.Total}) {
		names := p.names(r, row)
		for l := range row.lines() {
			if !l.first { // they are said once
				names = make([]string, len(r.By))
			}
			lines = append(lines, p.cells(r, names, l))
		}
	}
	if len(lines) > 1 { // else there were no calls, which is said
		if err := columns(w, len(r.By)+1, lines); err != nil {
			return err
		}
	}
	for _, n := range p.notes(r) {
		if _, err := fmt.Fprintf(w, "\n%s\n", n); err != nil {
			return err
		}
	}
	if r.Boundary == nil {
		return nil
	}
	fmt.Fprintf(w, "\n%s\n", p.verdict(r))
	lines = nil
	for i, l := range r.Left {
		if i == shownLeft {
			fmt.Fprintf(w, "%s\n", p.say(fmt.Sprintf("The first %d are shown; --format json has %s.", shownLeft, number(int64(len(r.Left)))), fmt.Sprintf("先頭の %d 件を表示しています（--format json では %s 件）。", shownLeft, number(int64(len(r.Left))))))
			break
		}
		how := p.say("to", "→")
		if l.May {
			how = p.say("perhaps to", "→ 可能性")
		}
		lines = append(lines, []string{
			l.Call.Time.UTC().Format(time.RFC3339), l.Call.RequestID, l.Call.Event, orDash(cmp.Or(l.Call.Profile, l.Call.Model)),
			how + " " + strings.Join(l.Regions, " "), l.Call.Principal, orDash(l.Call.Execution),
		})
	}
	return columns(w, 8, lines)
}

func orDash(s string) string { return cmp.Or(s, "-") }

// verdict says whether the boundary was kept.
func (p *Printer) verdict(r *Report) string {
	where := r.Boundary.Name
	if regions := strings.Join(r.Boundary.Regions, ", "); regions != where {
		where += " (" + regions + ")"
	}
	switch {
	case r.Kept():
		return p.say("No call left the boundary "+where+".", "境界 "+where+" の外に出た呼び出しはありません。")
	case r.LeftCount == 0:
		return p.say(fmt.Sprintf("No call is known to have left the boundary %s; of %s it is not known:", where, number(r.MayCount)),
			fmt.Sprintf("境界 %s の外に出たと判明した呼び出しはありませんが、%s 件は不明です：", where, number(r.MayCount)))
	case r.MayCount == 0:
		return p.say(fmt.Sprintf("%s calls left the boundary %s:", number(r.LeftCount), where), fmt.Sprintf("%[2]s 件の呼び出しが境界 %[1]s の外に出ました：", where, number(r.LeftCount)))
	}
	return p.say(fmt.Sprintf("%s calls left the boundary %s, and of %s it is not known:", number(r.LeftCount), where, number(r.MayCount)),
		fmt.Sprintf("%[2]s 件の呼び出しが境界 %[1]s の外に出ました。さらに %[3]s 件は不明です：", where, number(r.LeftCount), number(r.MayCount)))
}

// notes are what a reader must know of the numbers.
func (p *Printer) notes(r *Report) (all []string) {
	if r.Assumed > 0 {
		all = append(all, p.say(
			fmt.Sprintf("%s events name no inferenceRegion. AWS leaves it out where a call was not re-routed, so they are counted in the Region that was called.", number(r.Assumed)),
			fmt.Sprintf("%s 件のイベントには inferenceRegion がありません。AWS は転送されなかった呼び出しではこれを省略するため、呼び出し元のリージョンで実行されたものとして数えています。", number(r.Assumed))))
	}
	if r.Total.Unsure > 0 {
		all = append(all, p.say(
			fmt.Sprintf("Of %s calls nobody knows where they ran, or whether they did: the server stopped before they ended, or who ran them does not say.", number(r.Total.Unsure)),
			fmt.Sprintf("%s 件は実行されたリージョン（または実行の有無）が不明です。完了前にサーバーが停止したか、実行した側が示していません。", number(r.Total.Unsure))))
	}
	if n := r.LeftCount + r.MayCount - int64(len(r.Left)); n > 0 {
		all = append(all, p.say(fmt.Sprintf("%s more calls left or may have left the boundary than are listed.", number(n)), fmt.Sprintf("一覧のほかに %s 件の該当する呼び出しがあります。", number(n))))
	}
	return all
}

// JSON prints a report for programs. Its members stay as they are.
func (p *Printer) JSON(w io.Writer, r *Report) error {
	str := func(k, s string) value.Member { return value.Member{Key: k, Value: value.String(s)} }
	num := func(k string, n int64) value.Member { return value.Member{Key: k, Value: value.Int(n)} }
	texts := func(all []string) value.Value {
		v := make([]value.Value, len(all))
		for i, s := range all {
			v[i] = value.String(s)
		}
		return value.Array(v...)
	}
	at := func(k string, t time.Time) value.Member {
		if t.IsZero() {
			return value.Member{Key: k, Value: value.Null()}
		}
		return str(k, t.UTC().Format(time.RFC3339))
	}
	row := func(x *Row) value.Value {
		var m []value.Member
		if x.Key != nil {
			var key []value.Member
			for i, b := range r.By {
				key = append(key, str(string(b), x.Key[i]))
			}
			m = append(m, value.Member{Key: "key", Value: value.Object(key...)})
		}
		var regions []value.Value
		for _, name := range x.RegionNames() {
			c := x.Regions[name]
			one := []value.Member{str("region", name), num("calls", c.Calls), {Key: "share", Value: value.Float(x.Share(name))}, num("inputTokens", c.Input), num("outputTokens", c.Output)}
			if r.Boundary != nil {
				one = append(one, value.Member{Key: "inside", Value: value.Bool(r.Boundary.Has(name))})
			}
			regions = append(regions, value.Object(one...))
		}
		m = append(m, value.Member{Key: "regions", Value: value.Array(regions...)},
			num("served", x.Served.Calls), num("failed", x.Failed), num("unknown", x.Unsure), num("inputTokens", x.Served.Input), num("outputTokens", x.Served.Output))
		if r.Boundary != nil {
			m = append(m, num("outside", x.Outside))
		}
		return value.Object(m...)
	}
	var bys []string
	for _, b := range r.By {
		bys = append(bys, string(b))
	}
	var rows []value.Value
	for _, x := range r.Rows {
		rows = append(rows, row(x))
	}
	m := []value.Member{
		str("source", p.Source), at("generated", p.Now), at("since", r.Since), at("until", r.Until), at("first", r.First), at("last", r.Last),
		{Key: "by", Value: texts(bys)}, {Key: "rows", Value: value.Array(rows...)}, {Key: "total", Value: row(&r.Total)},
	}
	for _, x := range r.rest() {
		m = append(m, value.Member{Key: "rest", Value: row(x)})
	}
	if r.Profile != "" {
		m = append(m, str("onlyProfile", r.Profile))
	}
	m = append(m, num("assumed", r.Assumed))
	if b := r.Boundary; b != nil {
		var left []value.Value
		for _, l := range r.Left {
			c := &l.Call
			left = append(left, value.Object(at("time", c.Time), str("requestId", c.RequestID), str("event", c.Event), str("source", c.Source),
				str("profile", c.Profile), str("model", c.Model), str("principal", c.Principal), str("workflow", c.Workflow), str("execution", c.Execution),
				value.Member{Key: "regions", Value: texts(l.Regions)}, value.Member{Key: "certain", Value: value.Bool(!l.May)}))
		}
		m = append(m, value.Member{Key: "boundary", Value: value.Object(str("name", b.Name), value.Member{Key: "regions", Value: texts(b.Regions)},
			value.Member{Key: "kept", Value: value.Bool(r.Kept())}, num("left", r.LeftCount), num("mayHaveLeft", r.MayCount), value.Member{Key: "calls", Value: value.Array(left...)})})
	}
	_, err := w.Write(append(value.Object(m...).AppendJSON(nil), '\n'))
	return err
}

// CSV prints a line for each row and Region.
func (p *Printer) CSV(w io.Writer, r *Report) error {
	out := csv.NewWriter(w)
	var head []string
	for _, b := range r.By {
		head = append(head, string(b))
	}
	head = append(head, "region", "status", "calls", "share", "inputTokens", "outputTokens")
	if r.Boundary != nil {
		head = append(head, "inside")
	}
	out.Write(head)
	for _, row := range slices.Concat(r.Rows, r.rest()) {
		for l := range row.lines() {
			cells := make([]string, len(r.By), len(head))
			if l.keys == nil {
				cells[0] = "(further rows)"
			}
			for i, k := range l.keys {
				cells[i] = plain(k)
			}
			cells = append(cells, l.region, l.status, fmt.Sprint(l.cell.Calls))
			inside := ""
			if l.status == served {
				cells = append(cells, strconv.FormatFloat(l.share, 'f', 6, 64), fmt.Sprint(l.cell.Input), fmt.Sprint(l.cell.Output))
				inside = strconv.FormatBool(r.Boundary != nil && r.Boundary.Has(l.region))
			} else {
				cells = append(cells, "", "", "")
			}
			if r.Boundary != nil {
				cells = append(cells, inside)
			}
			out.Write(cells)
		}
	}
	out.Flush()
	return out.Error()
}

// plain keeps a spreadsheet from taking a text that a caller chose for a formula.
func plain(s string) string {
	if s != "" && strings.ContainsRune("=+-@\t\r", rune(s[0])) {
		return "'" + s
	}
	return s
}
