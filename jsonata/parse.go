package jsonata

import (
	"strings"
	"sync"

	"tokaido/value"
)

// nodeKind is what a node of the syntax tree is.
type nodeKind uint8

const (
	nEnd nodeKind = iota
	nName
	nVar
	nStr
	nNum
	nWord
	nRegex
	nOp // an operator where an operand stands: and, or, in as names; ? as a placeholder
	nBin
	nUnary
	nFunc
	nPartial
	nLambda
	nCond
	nBlock
	nTransform
	nWild
	nDesc
	nParent
	// made by settle
	nPath
	nBind
	nApply
	nSort
)

// node is a node of the syntax tree. The parser makes nBin nodes for every
// operator; settle turns paths, bindings and the like into nodes of their own.
type node struct {
	kind  nodeKind
	text  string // name, variable, string, operator
	num   float64
	word  value.Value
	re    *regex
	pos   int
	depth int // how deep the tree below it is, itself included

	lhs, rhs, els *node // condition: its three parts; transform: pattern, update, delete
	list          []*node
	pairs         [][2]*node
	terms         []sortTerm
	sig           *signature

	// twice marks a condition whose test is its first branch too: ?: and ??.
	twice condKind

	keepArray bool // followed by []

	// What settle finds out.
	predicate []stage // filters of a node outside of a path
	stages    []stage // filters and indices of a step
	group     *node   // its pairs
	focus     string  // @$focus
	index     string  // #$index
	ancestor  *slot   // a step that is some %'s object
	slot      *slot   // of an nParent
	seeking   []*slot // % below here whose step has not been found
	tuple     bool    // the step, or the path, is a stream of tuples
	cons      bool    // an array constructor at an end of a path keeps its array
	keepOne   bool    // a path that keeps a single result in an array
	tail      bool    // a call in tail position
	closes    uint8   // what closes found out: 0 not asked, 1 no, 2 yes
	checked   int     // how many steps of a path have been looked at
}

type condKind uint8

const (
	condPlain  condKind = iota
	condElvis           // a ?: b
	condExists          // a ?? b
)

type sortTerm struct {
	down bool
	expr *node
}

// stage is a filter or, if expr is nil, the binding of an index.
type stage struct {
	expr  *node
	index string
}

// slot ties a % to the step whose input it means.
type slot struct {
	label string
	level int
}

// parser is a top-down operator precedence parser.
type parser struct {
	lex   lexer
	tok   token
	deep  int
	slots int

	nodes [][]node // slabs of nodes, all full but the last in use
	slab  int      // that one
	used  int      // nodes of it that are taken
	links []*node  // the lists of short paths
}

// slabSize is how many nodes are made at once.
const slabSize = 32

// parsers keeps nodes from one source to the next: nothing refers to them once
// an expression is compiled. It halves the time of BenchmarkCompile.
var parsers = sync.Pool{New: func() any { return new(parser) }}

// node returns a copy of n that lasts until done.
func (p *parser) node(n node) *node {
	at := p.fresh()
	*at = n
	return at
}

// fresh returns a node with nothing in it.
func (p *parser) fresh() *node {
	if p.slab == len(p.nodes) {
		p.nodes = append(p.nodes, make([]node, slabSize))
	}
	at := &p.nodes[p.slab][p.used]
	if p.used++; p.used == slabSize {
		p.slab, p.used = p.slab+1, 0
	}
	return at
}

// list returns an empty list with room for a short path.
func (p *parser) list() []*node {
	const room = 4
	n := len(p.links)
	if n+room > cap(p.links) {
		p.links = make([]*node, 0, max(64, 2*cap(p.links))) // the lists made before keep theirs
		n = 0
	}
	p.links = p.links[:n+room]
	return p.links[n : n : n+room]
}

// maxSlabs is how many slabs a parser keeps.
const maxSlabs = 64

// done gives the parser and its nodes back.
func (p *parser) done() {
	for i := 0; i <= p.slab && i < len(p.nodes); i++ {
		if i < p.slab {
			clear(p.nodes[i])
		} else {
			clear(p.nodes[i][:p.used])
		}
	}
	if len(p.nodes) > maxSlabs {
		p.nodes = p.nodes[:maxSlabs]
	}
	if cap(p.links) > maxSlabs*slabSize {
		p.links = nil
	}
	clear(p.links)
	*p = parser{nodes: p.nodes, links: p.links[:0]}
	parsers.Put(p)
}

// binding is how strongly an infix operator binds its left side; 0 for what is none.
func binding(t token) int {
	if t.kind != tokOp {
		return 0
	}
	switch t.text {
	case "[", "(", "@", "#":
		return 80
	case ".":
		return 75
	case "{":
		return 70
	case "*", "/", "%":
		return 60
	case "+", "-", "&":
		return 50
	case "=", "<", ">", "^", "!=", "<=", ">=", "~>", "?:", "??", "in":
		return 40
	case "and":
		return 30
	case "or":
		return 25
	case "?":
		return 20
	case ":=":
		return 10
	}
	return 0
}

// parse reads a whole source. It panics with an *Error. The parser is to be
// given back with done when the tree is not needed any more.
func parse(src string) (*node, *parser) {
	p := parsers.Get().(*parser)
	p.lex = newLexer(src)
	p.advance("", false)
	n := p.expression(0)
	if p.tok.kind != tokEnd {
		panic(fail("S0201", p.tok.pos, p.tok.text))
	}
	n = p.settle(n)
	if n.kind == nParent || n.seeking != nil {
		if n.kind == nParent || n.kind == nPath {
			n.pos = 0 // the reference's have none
		}
		panic(fail("S0217", n.pos, n.typeName()))
	}
	return n, p
}

// is reports whether the current token is the operator op.
func (p *parser) is(op string) bool { return p.tok.kind == tokOp && p.tok.text == op }

// advance goes to the next token. The current one must be the operator op,
// unless op is "".
func (p *parser) advance(op string, infix bool) {
	if op != "" && !p.is(op) {
		code := "S0202"
		if p.tok.kind == tokEnd {
			code = "S0203"
		}
		panic(&Error{Code: code, Position: p.tok.pos, Token: p.tok.text, Value: value.String(op)})
	}
	p.tok = p.lex.next(infix)
	if p.is("!") || p.is("~") {
		panic(fail("S0204", p.tok.pos, p.tok.text))
	}
}

func tooNested(pos int) *Error {
	return &Error{Position: pos, Limit: LimitDepth, Message: "The expression is nested too deeply"}
}

func (p *parser) expression(rbp int) *node {
	if p.deep++; p.deep > MaxNesting {
		panic(tooNested(p.tok.pos))
	}
	t := p.tok
	p.advance("", true)
	left := p.operand(t)
	left.measure(t.pos)
	for rbp < binding(p.tok) {
		t = p.tok
		p.advance("", false)
		left = p.infix(t, left)
		left.measure(t.pos)
	}
	p.deep--
	return left
}

// measure keeps trees that grow to the left from growing without end.
func (n *node) measure(pos int) {
	d := 0
	for _, c := range [...]*node{n.lhs, n.rhs, n.els} {
		if c != nil {
			d = max(d, c.depth)
		}
	}
	for _, c := range n.list {
		d = max(d, c.depth)
	}
	for _, c := range n.pairs {
		d = max(d, c[0].depth, c[1].depth)
	}
	for _, c := range n.terms {
		d = max(d, c.expr.depth)
	}
	if n.depth = max(n.depth, d+1); n.depth > MaxNesting {
		panic(tooNested(pos))
	}
}

// operand parses what stands where a value is expected.
func (p *parser) operand(t token) *node {
	n := p.fresh()
	n.pos, n.text = t.pos, t.text
	switch t.kind {
	case tokEnd:
		n.kind = nEnd
		return n
	case tokName:
		n.kind = nName
		return n
	case tokVar:
		n.kind = nVar
		return n
	case tokStr:
		n.kind = nStr
		return n
	case tokNum:
		n.kind, n.num = nNum, t.num
		return n
	case tokWord:
		n.kind, n.word = nWord, t.word
		return n
	case tokRegex:
		n.kind, n.re = nRegex, t.re
		return n
	}
	switch t.text {
	case "and", "or", "in":
		n.kind = nOp
	case "-":
		n.kind = nUnary
		n.lhs = p.expression(70)
	case "*":
		n.kind = nWild
	case "**":
		n.kind = nDesc
	case "%":
		n.kind = nParent
	case "(":
		n.kind = nBlock
		for !p.is(")") {
			n.list = append(n.list, p.expression(0))
			if !p.is(";") {
				break
			}
			p.advance(";", false)
		}
		p.advance(")", true)
	case "[":
		n.kind = nUnary
		if !p.is("]") {
			for {
				item := p.expression(0)
				if p.is("..") {
					r := p.node(node{kind: nBin, text: "..", pos: p.tok.pos, lhs: item})
					p.advance("..", false)
					r.rhs = p.expression(0)
					r.measure(r.pos)
					item = r
				}
				n.list = append(n.list, item)
				if !p.is(",") {
					break
				}
				p.advance(",", false)
			}
		}
		p.advance("]", true)
	case "{":
		n.kind = nUnary
		n.pairs = p.pairs()
	case "|":
		n.kind = nTransform
		n.lhs = p.expression(0)
		p.advance("|", false)
		n.rhs = p.expression(0)
		if p.is(",") {
			p.advance(",", false)
			n.els = p.expression(0)
		}
		p.advance("|", false)
	default:
		panic(fail("S0211", t.pos, t.text))
	}
	return n
}

// pairs parses the names and values of an object or a grouping, after its brace.
func (p *parser) pairs() [][2]*node {
	a := [][2]*node{}
	if !p.is("}") {
		for {
			k := p.expression(0)
			p.advance(":", false)
			v := p.expression(0)
			a = append(a, [2]*node{k, v})
			if !p.is(",") {
				break
			}
			p.advance(",", false)
		}
	}
	p.advance("}", true)
	return a
}

// infix parses what follows left and the operator t.
func (p *parser) infix(t token, left *node) *node {
	n := p.fresh()
	n.kind, n.text, n.pos, n.lhs = nBin, t.text, t.pos, left
	switch t.text {
	case "(":
		return p.call(n, left)
	case "[":
		if p.is("]") {
			step := left
			for step.kind == nBin && step.text == "[" {
				step = step.lhs
			}
			step.keepArray = true
			p.advance("]", false)
			return left
		}
		n.rhs = p.expression(0)
		p.advance("]", true)
	case "^":
		p.advance("(", false)
		for {
			var term sortTerm
			if p.is("<") {
				p.advance("<", false)
			} else if p.is(">") {
				term.down = true
				p.advance(">", false)
			}
			term.expr = p.expression(0)
			n.terms = append(n.terms, term)
			if !p.is(",") {
				break
			}
			p.advance(",", false)
		}
		p.advance(")", false)
	case "{":
		n.pairs = p.pairs()
	case ":=":
		if left.kind != nVar {
			panic(fail("S0212", left.pos, left.text))
		}
		n.rhs = p.expression(binding(t) - 1)
	case "@", "#":
		n.rhs = p.expression(binding(t))
		if n.rhs.kind != nVar {
			panic(fail("S0214", n.rhs.pos, t.text))
		}
	case "?":
		n.kind = nCond
		n.rhs = p.expression(0)
		if p.is(":") {
			p.advance(":", false)
			n.els = p.expression(0)
		}
	case "?:", "??":
		n.kind, n.rhs, n.twice = nCond, left, condElvis
		if t.text == "??" {
			n.twice = condExists
		}
		n.els = p.expression(0)
	default:
		n.rhs = p.expression(binding(t))
	}
	return n
}

// call parses arguments, and the rest of a function definition.
func (p *parser) call(n, left *node) *node {
	n.kind = nFunc
	if !p.is(")") {
		for {
			if p.is("?") {
				n.kind = nPartial
				n.list = append(n.list, p.node(node{kind: nOp, text: "?", pos: p.tok.pos}))
				p.advance("?", false)
			} else {
				n.list = append(n.list, p.expression(0))
			}
			if !p.is(",") {
				break
			}
			p.advance(",", false)
		}
	}
	p.advance(")", true)
	if left.kind != nName || left.text != "function" && left.text != "λ" {
		return n
	}
	for i, a := range n.list {
		if a.kind != nVar {
			panic(&Error{Code: "S0208", Position: a.pos, Token: a.text, Value: value.Int(int64(i + 1))})
		}
	}
	n.kind, n.lhs = nLambda, nil
	if p.is("<") {
		at, depth := p.tok.pos, 1
		var text strings.Builder
		text.WriteString("<")
		for depth > 0 && !p.is("{") && p.tok.kind != tokEnd {
			p.advance("", false)
			if p.is(">") {
				depth--
			} else if p.is("<") {
				depth++
			}
			text.WriteString(p.tok.text)
		}
		p.advance(">", false)
		sig, err := parseSignature(text.String())
		if err != nil {
			err.Position += at
			panic(err)
		}
		n.sig = sig
	}
	p.advance("{", false)
	n.rhs = p.expression(0)
	p.advance("}", false)
	return n
}

// typeName is the reference's word for the node, as its messages show it.
func (n *node) typeName() string {
	switch n.kind {
	case nName:
		return "name"
	case nVar:
		return "variable"
	case nStr:
		return "string"
	case nNum:
		return "number"
	case nWord:
		return "value"
	case nRegex:
		return "regex"
	case nOp:
		return "operator"
	case nBin:
		return "binary"
	case nUnary:
		return "unary"
	case nFunc:
		return "function"
	case nPartial:
		return "partial"
	case nLambda:
		return "lambda"
	case nCond:
		return "condition"
	case nBlock:
		return "block"
	case nTransform:
		return "transform"
	case nWild:
		return "wildcard"
	case nDesc:
		return "descendant"
	case nParent:
		return "parent"
	case nPath:
		return "path"
	case nBind:
		return "bind"
	case nApply:
		return "apply"
	case nSort:
		return "sort"
	}
	return "(end)"
}
