package residency

import (
	"cmp"
	_ "embed"
	"fmt"
	"html/template"
	"io"
	"maps"
	"slices"
	"strings"
	"time"
)

//go:embed report.html
var page string

var pageTemplate = template.Must(template.New("report").Parse(page))

// What a page shows; JSON has everything.
const (
	maxBars    = 40
	maxDays    = 120
	maxColours = 8
)

// view is what the page is made of.
type view struct {
	Lang, Title, Period, Source, Made string
	Verdict                           string
	Kept, Bounded                     bool
	Totals                            []figure
	Legend                            []legend
	BarsTitle, DaysTitle, TableTitle  string
	Bars                              []bar
	MoreBars                          string
	Days                              []dayBar
	DaysWidth                         int
	DaysTop                           string
	Head                              []string
	Keys                              int
	Rows                              [][]string
	LeftTitle                         string
	LeftHead                          []string
	Left                              [][]string
	Notes                             []string
	Footer                            string
}

type figure struct{ Label, Value string }

type legend struct {
	Class, Name string
	Outside     bool
}

type bar struct {
	Name  string
	Calls string
	Parts []part
}

type part struct {
	Class   string
	X, W    string // percent
	Y, H    string
	Title   string
	Outside bool
}

type dayBar struct {
	X     int
	Label string
	Parts []part
}

// HTML prints a report as one page that asks nobody for anything.
func (p *Printer) HTML(w io.Writer, r *Report) error {
	names := r.Total.RegionNames()
	class := map[string]string{}
	for i, name := range names {
		class[name] = fmt.Sprintf("c%d", min(i, maxColours-1))
	}
	outside := func(region string) bool { return r.Boundary != nil && !r.Boundary.Has(region) }
	v := view{
		Lang: p.Lang, Title: p.say("Where inferences ran", "推論が実行されたリージョン"), Period: p.period(r),
		Source: p.say("From ", "対象：") + p.Source, Made: p.say("Made ", "作成：") + p.Now.UTC().Format("2006-01-02 15:04 UTC"),
		Bounded: r.Boundary != nil, Notes: p.notes(r), Keys: len(r.By),
		BarsTitle: p.say("Share of each Region", "リージョン別の割合"), DaysTitle: p.say("Calls by day", "日別の呼び出し数"), TableTitle: p.say("In numbers", "数値"),
		Footer: p.say("Made by tokaido residency report. This page loads nothing from elsewhere.", "tokaido residency report で作成。このページは外部から何も読み込みません。"),
	}
	if v.Lang == "" {
		v.Lang = "en"
	}
	if r.Boundary != nil {
		v.Verdict, v.Kept = strings.TrimRight(p.verdict(r), ":："), r.Kept()
	}
	v.Totals = []figure{
		{p.say("calls served", "実行された呼び出し"), number(r.Total.Served.Calls)},
		{p.say("Regions", "リージョン"), number(int64(len(names)))},
		{p.say("input tokens", "入力トークン"), number(r.Total.Served.Input)},
		{p.say("output tokens", "出力トークン"), number(r.Total.Served.Output)},
		{p.say("failed", "失敗"), number(r.Total.Failed)},
	}
	if r.Total.Unsure > 0 {
		v.Totals = append(v.Totals, figure{p.say("not known", "不明"), number(r.Total.Unsure)})
	}
	for _, name := range names {
		v.Legend = append(v.Legend, legend{class[name], p.region(name), outside(name)})
	}
	rows := slices.Clone(r.Rows)
	slices.SortStableFunc(rows, func(a, b *Row) int { return int(b.Served.Calls - a.Served.Calls) })
	bars := append([]*Row{&r.Total}, rows...)
	if len(rows) == 1 {
		bars = rows
	}
	for i, row := range bars {
		if i > maxBars {
			v.MoreBars = p.say(fmt.Sprintf("and %d more, in the table", len(bars)-i), fmt.Sprintf("ほか %d 件は表を参照", len(bars)-i))
			break
		}
		if row.Served.Calls == 0 {
			continue
		}
		b := bar{Calls: number(row.Served.Calls), Name: p.say("All", "全体")}
		if row.Key != nil {
			b.Name = strings.Join(p.names(r, row), " · ")
		}
		x := 0.0
		for _, name := range names {
			c := row.Regions[name]
			if c == nil {
				continue
			}
			share := 100 * row.Share(name)
			b.Parts = append(b.Parts, part{
				Class: class[name], X: fmt.Sprintf("%.3f%%", x), W: fmt.Sprintf("%.3f%%", share), Outside: outside(name),
				Title: fmt.Sprintf("%s: %s (%s)", p.region(name), number(c.Calls), percent(row.Share(name))),
			})
			x += share
			if len(b.Parts) <= namedShares { // not by colour alone
				b.Calls += " · " + p.city(name) + " " + percent(row.Share(name))
			}
		}
		v.Bars = append(v.Bars, b)
	}
	p.days(r, &v, names, class)
	v.Head = p.head(r)
	for _, row := range slices.Concat(rows, r.rest()) {
		for l := range row.lines() {
			v.Rows = append(v.Rows, p.cells(r, p.names(r, row), l))
		}
	}
	if len(r.Left) > 0 {
		v.LeftTitle = p.say("Calls that left the boundary", "境界の外に出た呼び出し")
		v.LeftHead = []string{p.say("Time", "時刻"), p.say("Request", "リクエスト"), p.say("Operation", "オペレーション"), p.say("Profile or model", "プロファイルまたはモデル"),
			p.say("Region", "リージョン"), p.say("Principal", "プリンシパル"), p.say("Execution", "実行")}
		for _, l := range r.Left {
			where := strings.Join(l.Regions, " ")
			if l.May {
				where = p.say("perhaps ", "可能性：") + where
			}
			v.Left = append(v.Left, []string{l.Call.Time.UTC().Format(time.RFC3339), l.Call.RequestID, l.Call.Event, cmp.Or(l.Call.Profile, l.Call.Model), where, l.Call.Principal, orDash(l.Call.Execution)})
		}
	}
	return pageTemplate.Execute(w, v)
}

// namedShares is how many Regions' shares stand beside a bar in words.
const namedShares = 3

const (
	dayWidth  = 14
	dayHeight = 120
)

// days draws the calls of each day; of many days, the last ones.
func (p *Printer) days(r *Report, v *view, names []string, class map[string]string) {
	days := slices.Sorted(maps.Keys(r.Days))
	if len(days) < 2 {
		return
	}
	first, err1 := time.Parse(time.DateOnly, days[0])
	last, err2 := time.Parse(time.DateOnly, days[len(days)-1])
	if err1 != nil || err2 != nil {
		return
	}
	if from := last.AddDate(0, 0, 1-maxDays); first.Before(from) {
		first = from
	}
	top := int64(1)
	for _, d := range r.Days {
		sum := int64(0)
		for _, n := range d {
			sum += n
		}
		top = max(top, sum)
	}
	v.DaysTop = number(top)
	x := 0
	for at := first; !at.After(last); at = at.AddDate(0, 0, 1) {
		day := at.Format(time.DateOnly)
		b := dayBar{X: x}
		if at.Equal(first) || at.Day() == 1 || at.Day() == 15 {
			b.Label = at.Format("01-02")
		}
		y := float64(dayHeight)
		for _, name := range names {
			n := r.Days[day][name]
			if n == 0 {
				continue
			}
			h := float64(dayHeight) * float64(n) / float64(top)
			y -= h
			b.Parts = append(b.Parts, part{
				Class: class[name], Y: fmt.Sprintf("%.2f", y), H: fmt.Sprintf("%.2f", h),
				Title: fmt.Sprintf("%s %s: %s", day, p.region(name), number(n)),
			})
		}
		v.Days = append(v.Days, b)
		x += dayWidth
	}
	v.DaysWidth = x
}
