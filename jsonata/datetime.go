package jsonata

import (
	"math"
	"regexp"
	"strconv"
	"strings"
	"time"

	"tokaido/value"
)

// Date and time pictures, as XPath's format-dateTime has them: literal text,
// and markers in brackets, each a component with how to present it.

// datePicture is a picture taken apart.
type datePicture []datePart

type datePart struct {
	literal   string
	component byte // 0 for a literal
	names     nameStyle
	integer   *integerPicture
	zulu      bool // the modifier t: Z for UTC
	wide      bool // there is a largest width
	max       int
	modulo    float64 // of a year that is cut to its last digits; 0 if it is not
}

type nameStyle uint8

const (
	noNames nameStyle = iota
	lowerNames
	upperNames
	titleNames
)

// The presentation of a component that asks for none.
var datePresentation = map[byte]string{
	'Y': "1", 'M': "1", 'D': "1", 'd': "1", 'F': "n", 'W': "1", 'w': "1", 'X': "1", 'x': "1", 'H': "1", 'h': "1",
	'P': "n", 'm': "01", 's': "01", 'f': "1", 'Z': "01:01", 'z': "01:01", 'C': "n", 'E': "n",
}

var (
	dayNames   = strings.Fields("Monday Tuesday Wednesday Thursday Friday Saturday Sunday")
	monthNames = strings.Fields("January February March April May June July August September October November December")
)

var isoPicture = parseDatePicture("[Y0001]-[M01]-[D01]T[H01]:[m01]:[s01].[f001][Z01:01t]")

func parseDatePicture(text string) datePicture {
	var pic datePicture
	literal := func(s string) {
		if s != "" {
			pic = append(pic, datePart{literal: strings.ReplaceAll(s, "]]", "]")})
		}
	}
	start := 0
	for i := 0; i < len(text); i++ {
		if text[i] != '[' {
			continue
		}
		literal(text[start:i])
		if i+1 < len(text) && text[i+1] == '[' {
			pic = append(pic, datePart{literal: "["})
			i++
			start = i + 1
			continue
		}
		n := strings.IndexByte(text[i:], ']')
		if n < 0 {
			panic(&Error{Code: "D3135"})
		}
		marker := strings.Join(strings.Fields(text[i+1:i+n]), "")
		part := parseDatePart(marker)
		if part.integer != nil && part.component != 'Z' && part.component != 'z' && len(pic) > 0 {
			// Digits that follow digits at once can only be told apart by their number.
			if before := pic[len(pic)-1].integer; before != nil {
				before.width = before.mandatory
			}
		}
		pic = append(pic, part)
		i += n
		start = i + 1
	}
	literal(text[start:])
	return pic
}

func parseDatePart(marker string) datePart {
	var p datePart
	rest := ""
	if marker != "" {
		p.component, rest = marker[0], marker[1:]
	}
	least, hasLeast := 0, false
	if i := strings.LastIndexByte(rest, ','); i >= 0 {
		low, high, dash := strings.Cut(rest[i+1:], "-")
		rest = rest[:i]
		width := func(s string) (int, bool) {
			f := leadingInteger(s)
			return int(min(f, 1000)), s != "*" && f == f
		}
		least, hasLeast = width(low)
		if dash {
			p.max, p.wide = width(high)
		}
	}
	first, second := rest, ""
	switch n := len(rest); {
	case n == 0:
		def, ok := datePresentation[p.component]
		if !ok {
			panic(&Error{Code: "D3132", Value: value.String(string(marker[:min(1, len(marker))]))})
		}
		first = def
	case n > 1 && strings.IndexByte("atco", rest[n-1]) >= 0:
		first, second = rest[:n-1], rest[n-1:]
	}
	p.zulu = second == "t"
	switch {
	case first[0] == 'n':
		p.names = lowerNames
	case strings.HasPrefix(first, "Nn"):
		p.names = titleNames
	case first[0] == 'N':
		p.names = upperNames
	case strings.IndexByte("YMDdFWwXxHhmsf", p.component) >= 0:
		if second != "" {
			first += ";" + second
		}
		p.integer = parseIntegerPicture(first)
		if hasLeast && p.integer.style == styleDecimal && p.integer.mandatory < least {
			p.integer.mandatory = least
		}
		if p.component == 'Y' {
			if p.wide {
				p.integer.mandatory = p.max
				p.modulo = math.Pow(10, float64(p.max))
			} else if w := p.integer.mandatory + p.integer.optional; w >= 2 && p.integer.style == styleDecimal {
				p.modulo = math.Pow(10, float64(w))
			}
		}
	}
	if p.component == 'Z' || p.component == 'z' {
		p.integer = parseIntegerPicture(first)
	}
	return p
}

const dayMillis = 24 * 60 * 60 * 1000

// utc is JavaScript's Date.UTC: years of two digits are of the last century.
func utc(year, month, day float64) float64 {
	if year = whole(year); year >= 0 && year <= 99 {
		year += 1900
	}
	if math.Abs(year) > 400_000 || math.Abs(month) > 1e7 || math.Abs(day) > 1e9 || year != year || month != month || day != day {
		return math.NaN()
	}
	return float64(time.Date(int(year), time.Month(int(month)+1), 1, 0, 0, 0, 0, time.UTC).UnixMilli()) + (whole(day)-1)*dayMillis
}

// firstWeek is when the first ISO week of a year or a month begins.
func firstWeek(year, month int) float64 {
	first := utc(float64(year), float64(month), 1)
	day := float64(time.UnixMilli(int64(first)).UTC().Weekday())
	if day == 0 {
		day = 7
	}
	if day > 4 {
		return first + (8-day)*dayMillis
	}
	return first - (day-1)*dayMillis
}

// fragment is one component of a time that is a number.
func fragment(t time.Time, component byte) float64 {
	year, month := t.Year(), int(t.Month())-1
	today := func() float64 { return utc(float64(year), float64(month), float64(t.Day())) }
	week := func(start, next, before float64) float64 {
		now := today()
		w := (now-start)/(7*dayMillis) + 1
		switch {
		case now >= next:
			w = 1
		case w < 1:
			w = (now-before)/(7*dayMillis) + 1
		}
		return math.Floor(w)
	}
	switch component {
	case 'Y':
		return float64(year)
	case 'M':
		return float64(month + 1)
	case 'D':
		return float64(t.Day())
	case 'd':
		return (today()-utc(float64(year), 0, 1))/dayMillis + 1
	case 'F':
		if t.Weekday() == 0 {
			return 7
		}
		return float64(t.Weekday())
	case 'W':
		return week(firstWeek(year, 0), firstWeek(year+1, 0), firstWeek(year-1, 0))
	case 'w':
		nextYear, nextMonth := year, month+1
		if nextMonth == 12 {
			nextYear, nextMonth = year+1, 0
		}
		lastYear, lastMonth := year, month-1
		if lastMonth < 0 {
			lastYear, lastMonth = year-1, 11
		}
		return week(firstWeek(year, month), firstWeek(nextYear, nextMonth), firstWeek(lastYear, lastMonth))
	case 'X':
		now := float64(t.UnixMilli())
		switch {
		case now < firstWeek(year, 0):
			return float64(year - 1)
		case now >= firstWeek(year+1, 0):
			return float64(year + 1)
		}
		return float64(year)
	case 'x':
		now := float64(t.UnixMilli())
		next := (month + 1) % 12
		switch {
		case now < firstWeek(year, month):
			return float64((month+11)%12 + 1)
		case now >= firstWeek(year+(month+1)/12, next):
			return float64(next + 1)
		}
		return float64(month + 1)
	case 'H':
		return float64(t.Hour())
	case 'h':
		if t.Hour()%12 == 0 {
			return 12
		}
		return float64(t.Hour() % 12)
	case 'm':
		return float64(t.Minute())
	case 's':
		return float64(t.Second())
	case 'f':
		return float64(t.Nanosecond() / 1e6)
	}
	return math.NaN()
}

// maxMillis is how far from 1970 a JavaScript Date may be.
const maxMillis = 8.64e15

// formatTime prints a time by a picture; zone is like "+0530", or "".
func formatTime(millis float64, pic datePicture, zone string) string {
	hours, minutes := 0.0, 0.0
	if zone != "" {
		offset := leadingInteger(zone)
		hours, minutes = math.Floor(offset/100), math.Mod(offset, 100)
	}
	millis = whole(millis + (60*hours+minutes)*60*1000)
	if hours != hours || !(math.Abs(millis) <= maxMillis) {
		panic(&Error{Code: "D1001", Value: value.Float(millis)})
	}
	t := time.UnixMilli(int64(millis)).UTC()
	var b strings.Builder
	for i := range pic {
		p := &pic[i]
		switch p.component {
		case 0:
			b.WriteString(p.literal)
		case 'Y', 'M', 'D', 'd', 'F', 'W', 'w', 'X', 'x', 'H', 'h', 'm', 's', 'f':
			f := fragment(t, p.component)
			if p.modulo != 0 {
				f = math.Mod(f, p.modulo)
			}
			switch {
			case p.names == noNames:
				b.WriteString(p.integer.format(f))
			case p.component == 'f':
				panic(&Error{Code: "D3133", Value: value.String("f")})
			default:
				b.WriteString(p.name(int(f)))
			}
		case 'Z', 'z':
			b.WriteString(p.zone(hours, minutes))
		case 'P':
			s := "am"
			if t.Hour() >= 12 {
				s = "pm"
			}
			if p.names == upperNames {
				s = strings.ToUpper(s)
			}
			b.WriteString(s)
		case 'C', 'E':
			b.WriteString("ISO")
		default:
			b.WriteString("undefined")
		}
	}
	return b.String()
}

// name is a month's or a day's.
func (p *datePart) name(n int) string {
	var s string
	switch p.component {
	case 'M', 'x':
		s = monthNames[n-1]
	case 'F':
		s = dayNames[n-1]
	default:
		panic(&Error{Code: "D3133", Value: value.String(string(rune(p.component)))})
	}
	switch p.names {
	case upperNames:
		s = strings.ToUpper(s)
	case lowerNames:
		s = strings.ToLower(s)
	}
	if p.wide && len(s) > p.max {
		s = s[:max(p.max, 0)]
	}
	return s
}

// zone prints an offset from UTC.
func (p *datePart) zone(hours, minutes float64) string {
	offset := hours*100 + minutes
	var s string
	switch n := p.integer.mandatory; {
	case p.integer.every > 0:
		s = p.integer.format(offset)
	case n == 1 || n == 2:
		s = p.integer.format(hours)
		if minutes != 0 {
			s += ":" + (&integerPicture{zero: '0', mandatory: 2}).format(minutes)
		}
	case n == 3 || n == 4:
		s = p.integer.format(offset)
	default:
		panic(&Error{Code: "D3134", Value: value.Int(int64(n))})
	}
	if offset >= 0 {
		s = "+" + s
	}
	if p.component == 'z' {
		s = "GMT" + s
	}
	if offset == 0 && p.zulu {
		s = "Z"
	}
	return s
}

func fromMillis(m *machine, args []val, in val) val {
	if args[0].undefined() {
		return args[0]
	}
	return str(m.formatTime(args[0].v.Float(), args[1], args[2]))
}

func (m *machine) formatTime(millis float64, picture, zone val) string {
	pic := isoPicture
	if !picture.undefined() {
		m.grow(4 * len(picture.v.Str()))
		pic = parseDatePicture(picture.v.Str())
	}
	z := ""
	if !zone.undefined() {
		if z = zone.v.Str(); z == "" {
			z = "x" // no number, and refused as one
		}
	}
	return formatTime(millis, pic, z)
}

func now(m *machine, args []val, in val) val {
	return str(m.formatTime(float64(m.env.Now.UnixMilli()), args[0], args[1]))
}

func millis(m *machine, args []val, in val) val { return num(float64(m.env.Now.UnixMilli())) }

func toMillis(m *machine, args []val, in val) val {
	if args[0].undefined() {
		return args[0]
	}
	s := args[0].v.Str()
	if args[1].undefined() {
		f, ok := parseISO(s)
		if !ok {
			panic(&Error{Code: "D3110", Value: args[0].v})
		}
		return num(f)
	}
	m.grow(8 * (len(s) + len(args[1].v.Str())))
	f, ok := parseDatePicture(args[1].v.Str()).parse(s, m.env.Now.UTC())
	if !ok {
		return val{}
	}
	return num(f)
}

var isoPattern = regexp.MustCompile(`^(\d{4})(-[01]\d)?(-[0-3]\d)?(T[0-2]\d:[0-5]\d:[0-5]\d)?(\.\d+)?([+-][0-2]\d:?[0-5]\d|Z)?$`)

// parseISO reads an ISO 8601 timestamp; ok is false if it is none, and the
// result no number if its parts make no time. A time without an offset is in UTC.
func parseISO(s string) (f float64, ok bool) {
	p := isoPattern.FindStringSubmatch(s)
	if p == nil {
		return 0, false
	}
	number := func(s string) int {
		n, _ := strconv.Atoi(s)
		return n
	}
	year, month, day := number(p[1]), 1, 1
	if p[2] != "" {
		month = number(p[2][1:])
	}
	if p[3] != "" {
		day = number(p[3][1:])
		if p[2] == "" {
			return math.NaN(), true
		}
	}
	var hour, minute, second int
	if p[4] != "" {
		hour, minute, second = number(p[4][1:3]), number(p[4][4:6]), number(p[4][7:9])
	}
	if month < 1 || month > 12 || day < 1 || day > 31 || hour > 24 || hour == 24 && (minute > 0 || second > 0) || p[5] != "" && p[4] == "" {
		return math.NaN(), true
	}
	f = float64(time.Date(year, time.Month(month), day, hour, minute, second, 0, time.UTC).UnixMilli())
	if p[5] != "" {
		f += float64(number((p[5] + "00")[1:4]))
	}
	if z := strings.ReplaceAll(p[6], ":", ""); len(z) == 5 {
		offset := float64(number(z[1:3])*60+number(z[3:5])) * 60_000
		if z[0] == '-' {
			offset = -offset
		}
		f -= offset
	}
	return f, true
}

// reader reads one part of a timestamp.
type reader struct {
	component byte
	read      func(s string) (float64, bool)
}

// pattern is the regular expression for what the picture prints.
func (pic datePicture) pattern() (string, []reader) {
	var b strings.Builder
	var readers []reader
	b.WriteString("(?i)^")
	for i := range pic {
		p := &pic[i]
		switch {
		case p.component == 0:
			b.WriteString("(" + regexp.QuoteMeta(wellFormed(p.literal)) + ")")
			readers = append(readers, reader{})
			continue
		case p.component == 'Z' || p.component == 'z':
			sep := ""
			if p.integer.every > 0 {
				sep = string(p.integer.seps[0].char)
			}
			b.WriteString("(")
			if p.component == 'z' {
				b.WriteString("GMT")
			}
			b.WriteString("[-+][0-9]+")
			if sep != "" {
				b.WriteString(regexp.QuoteMeta(sep) + "[0-9]+")
			}
			b.WriteString(")")
			readers = append(readers, reader{p.component, func(s string) (float64, bool) { return readZone(s, sep, p.component == 'z'), true }})
		case p.component == 'f':
			b.WriteString("([0-9]+)")
			readers = append(readers, reader{'f', func(s string) (float64, bool) {
				f, _ := strconv.ParseFloat("0."+s[:min(3, len(s))], 64)
				return f * 1000, true
			}})
		case p.integer != nil:
			b.WriteString("(" + p.integer.source() + ")")
			readers = append(readers, reader{p.component, func(s string) (float64, bool) { return p.integer.parse(s), true }})
		default:
			b.WriteString("([a-zA-Z]+)")
			readers = append(readers, reader{p.component, p.readName()})
		}
	}
	b.WriteString("$")
	return b.String(), readers
}

// source is the regular expression for a number as the picture prints it.
func (p *integerPicture) source() string {
	switch p.style {
	case styleLetters:
		return "[a-z]+"
	case styleRoman:
		return "[MDCLXVI]+"
	case styleWords:
		return wordPattern
	case styleSequence:
		panic(&Error{Code: "D3130", Value: value.String(p.token)})
	}
	s := "[0-9]+"
	if p.width > 0 {
		s = "[0-9]{" + strconv.Itoa(min(p.width, 1000)) + "}"
	}
	if p.ordinal {
		s += "(?:th|st|nd|rd)"
	}
	return s
}

var wordPattern = func() string {
	var list []string
	for _, words := range [...][]string{units20, ordinals, tens, powers} {
		list = append(list, words...)
	}
	for _, w := range tens {
		list = append(list, w[:len(w)-1]+"ieth")
	}
	for _, w := range powers {
		list = append(list, w+"th")
	}
	return "(?:" + strings.Join(list, "|") + "|hundred|hundredth|and|[-, ])+"
}()

// readName reads a name; one in other letters than the table's is not known.
func (p *datePart) readName() func(string) (float64, bool) {
	cut := func(s string) string {
		if p.wide && p.max > 0 && p.max < len(s) {
			return s[:p.max]
		}
		return s
	}
	table := map[string]float64{}
	switch p.component {
	case 'M', 'x':
		for i, n := range monthNames {
			table[cut(n)] = float64(i + 1)
		}
	case 'F':
		for i, n := range dayNames {
			table[cut(n)] = float64(i + 1)
		}
	case 'P':
		table = map[string]float64{"am": 0, "AM": 0, "pm": 1, "PM": 1}
	default:
		panic(&Error{Code: "D3133", Value: value.String(string(rune(p.component)))})
	}
	return func(s string) (float64, bool) {
		f, ok := table[s]
		return f, ok
	}
}

// readZone reads an offset in minutes. The minutes of a negative one count
// forwards, as the reference has it.
func readZone(s, sep string, gmt bool) float64 {
	if gmt {
		s = s[3:]
	}
	if sep != "" {
		h, m, _ := strings.Cut(s, sep)
		return leadingInteger(h)*60 + leadingInteger(m)
	}
	if len(s) <= 3 {
		return leadingInteger(s) * 60
	}
	return leadingInteger(s[:3])*60 + leadingInteger(s[3:])
}

// The sets of components that make a date or a time, as bits in the order of
// dateBits and timeBits.
const (
	dateBits = "YXMxWwdD"
	timeBits = "PHhmsf"

	byMonth     = 0b10100001 // year, month, day
	byDay       = 0b10000010 // year, day of the year
	byMonthWeek = 0b01010100
	byWeek      = 0b01001000
	by24        = 0b010111
	by12        = 0b101111
)

// parse reads a timestamp. What the picture has no component for is the
// current time's before the first component, and the least after the last.
func (pic datePicture) parse(s string, now time.Time) (float64, bool) {
	pattern, readers := pic.pattern()
	re, err := regexp.Compile(pattern)
	if err != nil {
		panic(&Error{Code: "D3136"})
	}
	found := re.FindStringSubmatch(s)
	if found == nil {
		return 0, false
	}
	parts := map[byte]float64{}
	any := false
	for i, r := range readers {
		if r.read == nil {
			continue
		}
		any = true
		delete(parts, r.component)
		if f, ok := r.read(found[i+1]); ok {
			parts[r.component] = f
		}
	}
	if !any {
		return 0, false
	}
	mask := func(bits string) int {
		n := 0
		for i := range len(bits) {
			n <<= 1
			if f := parts[bits[i]]; f != 0 && f == f {
				n |= 1
			}
		}
		return n
	}
	date, clock := mask(dateBits), mask(timeBits)
	is := func(mask, set int) bool { return mask&^set == 0 && mask&set != 0 }
	dateA := is(date, byMonth)
	dateB := !dateA && is(date, byDay)
	dateC := is(date, byMonthWeek)
	dateD := !dateC && is(date, byWeek)
	timeB := !is(clock, by24) && is(clock, by12)
	order := "YMD"
	switch {
	case dateB:
		order = "YD"
	case dateC:
		order = "XxwF"
	case dateD:
		order = "XWF"
	}
	if timeB {
		order += "Phmsf"
	} else {
		order += "Hmsf"
	}
	started, ended := false, false
	for i := range len(order) {
		c := order[i]
		if _, ok := parts[c]; ok {
			started = true
			if ended {
				panic(&Error{Code: "D3136"})
			}
			continue
		}
		switch {
		case !started:
			parts[c] = fragment(now, c)
		case strings.IndexByte("MDd", c) >= 0:
			parts[c], ended = 1, true
		default:
			parts[c], ended = 0, true
		}
	}
	if dateC || dateD {
		panic(&Error{Code: "D3136"})
	}
	month := 0.0
	if parts['M'] > 0 {
		month = parts['M'] - 1
	}
	day := parts['D']
	base := 0.0
	if dateB {
		base = utc(parts['Y'], 0, parts['d'])
	} else {
		base = utc(parts['Y'], month, day)
	}
	hour := parts['H']
	if timeB {
		if hour = parts['h']; hour == 12 {
			hour = 0
		}
		if parts['P'] == 1 {
			hour += 12
		}
	}
	f := base + whole(hour)*3_600_000 + whole(parts['m'])*60_000 + whole(parts['s'])*1000 + whole(parts['f'])
	if z := parts['Z']; z != 0 {
		f -= z * 60_000
	} else if z := parts['z']; z != 0 {
		f -= z * 60_000
	}
	return f, true
}
