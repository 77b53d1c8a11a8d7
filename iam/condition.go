package iam

import (
	"encoding/base64"
	"math/big"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"tokaido/iam/wild"
)

// base is a condition operator without its prefix and suffix.
type base uint8

const (
	stringEquals base = iota
	stringIgnoreCase
	stringLike
	numeric
	date
	boolean
	binary
	address
	arnLike
	null
)

// order is how numbers and dates are compared.
type order uint8

const (
	equal order = iota
	less
	lessEqual
	greater
	greaterEqual
)

// quantifier is a set operator.
type quantifier uint8

const (
	single quantifier = iota
	forAll
	forAny
)

type operator struct {
	base     base
	order    order
	negated  bool
	ifExists bool
	set      quantifier
}

var operators = map[string]operator{
	"stringequals":              {base: stringEquals},
	"stringnotequals":           {base: stringEquals, negated: true},
	"stringequalsignorecase":    {base: stringIgnoreCase},
	"stringnotequalsignorecase": {base: stringIgnoreCase, negated: true},
	"stringlike":                {base: stringLike},
	"stringnotlike":             {base: stringLike, negated: true},
	"numericequals":             {base: numeric},
	"numericnotequals":          {base: numeric, negated: true},
	"numericlessthan":           {base: numeric, order: less},
	"numericlessthanequals":     {base: numeric, order: lessEqual},
	"numericgreaterthan":        {base: numeric, order: greater},
	"numericgreaterthanequals":  {base: numeric, order: greaterEqual},
	"dateequals":                {base: date},
	"datenotequals":             {base: date, negated: true},
	"datelessthan":              {base: date, order: less},
	"datelessthanequals":        {base: date, order: lessEqual},
	"dategreaterthan":           {base: date, order: greater},
	"dategreaterthanequals":     {base: date, order: greaterEqual},
	"bool":                      {base: boolean},
	"binaryequals":              {base: binary},
	"ipaddress":                 {base: address},
	"notipaddress":              {base: address, negated: true},
	"arnequals":                 {base: arnLike},
	"arnlike":                   {base: arnLike},
	"arnnotequals":              {base: arnLike, negated: true},
	"arnnotlike":                {base: arnLike, negated: true},
	"null":                      {base: null},
}

// parseOperator reads an operator's name, in any case.
func parseOperator(name string) (operator, bool) {
	s := strings.ToLower(name)
	set := single
	if rest, ok := strings.CutPrefix(s, "forallvalues:"); ok {
		s, set = rest, forAll
	} else if rest, ok := strings.CutPrefix(s, "foranyvalue:"); ok {
		s, set = rest, forAny
	}
	s, exists := strings.CutSuffix(s, "ifexists")
	op, ok := operators[s]
	op.set, op.ifExists = set, exists
	if op.base == null && (exists || set != single) {
		return op, false
	}
	return op, ok
}

// condition is one operator with one key. Its values are compiled as far as
// they can be without a request.
type condition struct {
	operator
	name   string // the operator as it was written
	key    string
	values []operand
}

// operand is one value of a policy. Which field counts depends on the operator;
// ok is false for one that nothing can equal.
type operand struct {
	text    string
	ok      bool
	pattern wild.Pattern // stringEquals, stringIgnoreCase, stringLike
	arn     wild.ARN
	number  *big.Rat
	time    time.Time
	prefix  netip.Prefix
	bytes   string
	is      bool
}

// compileCondition compiles one key of a condition block. why is not "" if IAM
// would not save it.
func compileCondition(name string, op operator, key string, values []string, vars bool) (c condition, why string) {
	c = condition{operator: op, name: name, key: key, values: make([]operand, len(values))}
	for i, text := range values {
		v := operand{text: text, ok: true}
		switch op.base {
		case stringEquals, stringIgnoreCase:
			v.pattern = wild.CompileLiteral(text, vars)
		case stringLike:
			v.pattern = wild.Compile(text, vars)
		case arnLike:
			mode := wild.NoVars
			if vars {
				mode = wild.EveryPart
			}
			v.arn = wild.CompileARN(text, mode)
		case numeric:
			v.number, v.ok = parseNumber(text)
		case date:
			v.time, v.ok = parseTime(text)
			if !v.ok {
				return c, strconv.Quote(text) + " is no date"
			}
		case address:
			v.prefix, v.ok = parsePrefix(text)
		case binary:
			v.bytes, v.ok = decodeBase64(text)
		case boolean, null:
			v.is, v.ok = parseBool(text)
		}
		c.values[i] = v
	}
	return c, ""
}

// holds reports whether the condition is met.
func (c *condition) holds(q *query) bool {
	a := q.attribute(c.key)
	if c.base == null {
		for i := range c.values {
			if v := &c.values[i]; v.ok && v.is == (a == nil) {
				return true
			}
		}
		return false
	}
	switch {
	case c.set == forAll:
		if a == nil {
			return true
		}
		for _, v := range a.Values {
			if !c.value(q, v) {
				return false
			}
		}
		return true
	case c.set == forAny:
		// Also with …IfExists: no value is none that matches.
		if a == nil {
			return false
		}
		for _, v := range a.Values {
			if c.value(q, v) {
				return true
			}
		}
		return false
	case a == nil:
		return c.negated || c.ifExists
	case a.Multi || len(a.Values) != 1:
		return false // a multivalued key needs a set operator
	}
	return c.value(q, a.Values[0])
}

// value holds one value of the request against all of the policy's: any for a
// positive operator, none for a negated one.
func (c *condition) value(q *query, s string) bool {
	var (
		num   *big.Rat
		at    time.Time
		ip    netip.Addr
		raw   string
		is    bool
		ok    = true
		parts wild.Parts
	)
	switch c.base {
	case numeric:
		num, ok = parseNumber(s)
	case date:
		at, ok = parseTime(s)
	case boolean:
		is, ok = parseBool(s)
	case binary:
		raw, ok = decodeBase64(s)
	case address:
		var err error
		ip, err = netip.ParseAddr(s)
		if ip = ip.Unmap(); err != nil {
			return c.negated // what is no address is in no range
		}
	case arnLike:
		parts = wild.Cut(s)
	}
	if !ok {
		return false // what is no number is neither equal nor unequal to one
	}
	for i := range c.values {
		v := &c.values[i]
		hit := false
		switch c.base {
		case stringEquals, stringLike:
			if v.pattern.Variables() {
				r, ok := v.pattern.Resolve(q)
				hit = ok && r.Match(s)
			} else {
				hit = v.pattern.Match(s)
			}
		case stringIgnoreCase:
			r, ok := v.pattern.Resolve(q)
			if exact, is := r.Exact(); ok && is {
				hit = strings.EqualFold(exact, s)
			}
		case arnLike:
			hit = v.arn.Match(s, &parts, q)
		case numeric:
			hit = v.ok && c.order.holds(num.Cmp(v.number))
		case date:
			hit = v.ok && c.order.holds(at.Compare(v.time))
		case boolean:
			hit = v.ok && v.is == is
		case binary:
			hit = v.ok && v.bytes == raw
		case address:
			hit = v.ok && v.prefix.Contains(ip)
		}
		if hit {
			return !c.negated
		}
	}
	return c.negated
}

func (o order) holds(cmp int) bool {
	switch o {
	case less:
		return cmp < 0
	case lessEqual:
		return cmp <= 0
	case greater:
		return cmp > 0
	case greaterEqual:
		return cmp >= 0
	}
	return cmp == 0
}

// maxDigits bounds a number's text: an exponent could ask for gigabytes.
const maxDigits = 40

func parseNumber(s string) (*big.Rat, bool) {
	if s == "" || len(s) > maxDigits || strings.ContainsAny(s, "eEpPxXoObB_/") {
		return nil, false
	}
	return new(big.Rat).SetString(s)
}

func parseBool(s string) (is, ok bool) {
	switch {
	case strings.EqualFold(s, "true"):
		return true, true
	case strings.EqualFold(s, "false"):
		return false, true
	}
	return false, false
}

func decodeBase64(s string) (string, bool) {
	b, err := base64.StdEncoding.DecodeString(s)
	return string(b), err == nil
}

// The forms of ISO 8601 that W3C's note on dates and times has.
var layouts = []string{
	"2006-01-02T15:04:05Z07:00", "2006-01-02T15:04:05Z0700", "2006-01-02T15:04Z07:00", "2006-01-02T15:04Z0700",
	"2006-01-02T15:04:05", "2006-01-02T15:04", "2006-01-02", "2006-01", "2006",
	"20060102T150405Z", "20060102T150405Z0700",
}

// maxEpoch bounds the text of epoch seconds; four digits are a year.
const maxEpoch = 20

func parseTime(s string) (time.Time, bool) {
	if s == "" {
		return time.Time{}, false
	}
	if len(s) != 4 && len(s) <= maxEpoch && strings.Trim(strings.TrimPrefix(s, "-"), "0123456789.") == "" {
		n, err := strconv.ParseFloat(s, 64)
		if err != nil || n > 1e15 || n < -1e15 {
			return time.Time{}, false
		}
		sec := int64(n)
		return time.Unix(sec, int64((n-float64(sec))*1e9)), true
	}
	for _, l := range layouts {
		if t, err := time.Parse(l, s); err == nil {
			return t, true
		}
	}
	return time.Time{}, false
}

func parsePrefix(s string) (netip.Prefix, bool) {
	if !strings.Contains(s, "/") {
		a, err := netip.ParseAddr(s)
		if err != nil || a.Zone() != "" {
			return netip.Prefix{}, false
		}
		a = a.Unmap()
		return netip.PrefixFrom(a, a.BitLen()), true
	}
	p, err := netip.ParsePrefix(s)
	return p.Masked(), err == nil
}
