import { useEffect, useRef, useState } from "react";
import { EditorState, Compartment } from "@codemirror/state";
import { EditorView, keymap, lineNumbers, highlightActiveLine, drawSelection, highlightActiveLineGutter } from "@codemirror/view";
import { defaultKeymap, history, historyKeymap, indentWithTab } from "@codemirror/commands";
import { bracketMatching, foldGutter, foldKeymap, HighlightStyle, indentOnInput, syntaxHighlighting, syntaxTree } from "@codemirror/language";
import { lintGutter, lintKeymap, linter, forEachDiagnostic, openLintPanel, type Diagnostic } from "@codemirror/lint";
import { autocompletion, closeBrackets, closeBracketsKeymap, completionKeymap, type CompletionContext } from "@codemirror/autocomplete";
import { search, searchKeymap, highlightSelectionMatches } from "@codemirror/search";
import { tags as t } from "@lezer/highlight";
import type { SyntaxNode } from "@lezer/common";
import { asl } from "./jsonata";
import { localLint, pointerRange } from "./lint";
import { useI18n } from "../i18n";
import "./editor.css";

const cspNonce = document.querySelector<HTMLMetaElement>('meta[property="csp-nonce"]')?.nonce;

const hl = HighlightStyle.define([
  { tag: t.propertyName, class: "tk-prop" },
  { tag: t.string, class: "tk-str" },
  { tag: t.number, class: "tk-num" },
  { tag: [t.bool, t.null, t.keyword], class: "tk-kw" },
  { tag: t.function(t.variableName), class: "tk-fn" },
  { tag: t.special(t.variableName), class: "tk-var" },
  { tag: t.operator, class: "tk-op" },
  { tag: t.comment, class: "tk-com" },
]);

// "Next": "<cursor>" offers the names of the same States map
function stateNames(ctx: CompletionContext) {
  const n = syntaxTree(ctx.state).resolveInner(ctx.pos, -1);
  if (n.name !== "String") return null;
  const prop = n.parent?.getChild("PropertyName");
  const key = prop && ctx.state.sliceDoc(prop.from + 1, prop.to - 1);
  if (key !== "Next" && key !== "Default" && key !== "StartAt") return null;
  const nameOf = (p: SyntaxNode) => {
    const k = p.name === "Property" && p.getChild("PropertyName");
    return k ? ctx.state.sliceDoc(k.from + 1, k.to - 1) : "";
  };
  let states: SyntaxNode | null = null;
  if (key === "StartAt") {
    for (let c = n.parent?.parent?.firstChild ?? null; c; c = c.nextSibling) if (nameOf(c) === "States") states = c.getChild("Object");
  } else {
    for (let p: SyntaxNode | null = n.parent; p && !states; p = p.parent) if (nameOf(p) === "States") states = p.getChild("Object");
  }
  if (states) {
    const options: { label: string; type: string }[] = [];
    for (let c = states.firstChild; c; c = c.nextSibling) if (nameOf(c)) options.push({ label: nameOf(c), type: "class" });
    return { from: n.from + 1, to: n.to - 1, options };
  }
  return null;
}

export type Finding = { severity?: string; code?: string; message?: string; location?: string };
export type EditorProps = {
  value: string;
  onChange: (v: string) => void;
  check?: (text: string) => Promise<Finding[]>; // the server's word on a text that parses
  selected?: string;
  onSelect?: (name: string) => void; // the state that the cursor came into
  height?: number;
  readOnly?: boolean;
};

// stateAt is the state that a place in the text is in, the innermost one.
function stateAt(st: EditorState, pos: number): string | undefined {
  const keyOf = (p: SyntaxNode | null) => {
    const k = p?.name === "Property" ? p.getChild("PropertyName") : null;
    return k ? (JSON.parse(st.sliceDoc(k.from, k.to)) as string) : undefined;
  };
  for (let n: SyntaxNode | null = syntaxTree(st).resolveInner(pos, -1); n; n = n.parent)
    if (n.name === "Property" && n.parent?.name === "Object" && keyOf(n.parent.parent) === "States") {
      try {
        return keyOf(n);
      } catch {
        return undefined; // a name that is being written
      }
    }
  return undefined;
}

// checked are the local findings where the text does not parse, else the server's.
async function checked(st: EditorState, check: EditorProps["check"]): Promise<Diagnostic[]> {
  const local = localLint(st);
  if (!check || local.some((d) => d.source === "JSON")) return local;
  let found: Finding[];
  try {
    found = await check(st.doc.toString());
  } catch {
    return local; // the page says why
  }
  return found.map((f) => {
    const r = (f.location?.startsWith("/") && pointerRange(st, f.location)) || { from: 0, to: Math.min(1, st.doc.length) };
    return { ...r, severity: f.severity === "WARNING" ? "warning" : "error", message: `${f.code ?? ""}: ${f.message ?? ""}`, source: "ASL" };
  });
}

export default function AslEditor({ value, onChange, check, selected, onSelect, height = 620, readOnly = false }: EditorProps) {
  const { t: tr, locale } = useI18n();
  const host = useRef<HTMLDivElement>(null);
  const view = useRef<EditorView | null>(null);
  const phrases = useRef(new Compartment());
  const cb = useRef(onChange);
  cb.current = onChange;
  const checking = useRef(check);
  checking.current = check;
  const picked = useRef(onSelect);
  picked.current = onSelect;
  const [st, setSt] = useState({ line: 1, col: 1, errors: 0, warnings: 0 });

  useEffect(() => {
    const v = new EditorView({
      parent: host.current!,
      state: EditorState.create({
        doc: value,
        extensions: [
          lineNumbers(), highlightActiveLineGutter(), foldGutter(), history(), drawSelection(), indentOnInput(), bracketMatching(), closeBrackets(), highlightActiveLine(), highlightSelectionMatches(), search({ top: true }),
          autocompletion({ override: [stateNames] }),
          asl(), syntaxHighlighting(hl), lintGutter(), linter((w) => checked(w.state, checking.current), { delay: 400 }),
          keymap.of([...closeBracketsKeymap, ...defaultKeymap, ...searchKeymap, ...historyKeymap, ...foldKeymap, ...completionKeymap, ...lintKeymap, indentWithTab]),
          EditorView.contentAttributes.of({ "aria-label": tr("sourceLabel") }),
          phrases.current.of([]),
          readOnly ? [EditorState.readOnly.of(true)] : [],
          cspNonce ? EditorView.cspNonce.of(cspNonce) : [],
          EditorView.updateListener.of((u) => {
            if (u.docChanged) cb.current(u.state.doc.toString());
            if (u.selectionSet && u.transactions.some((x) => x.isUserEvent("select"))) {
              const name = stateAt(u.state, u.state.selection.main.head);
              if (name !== undefined) picked.current?.(name);
            }
            let errors = 0;
            let warnings = 0;
            forEachDiagnostic(u.state, (d) => (d.severity === "error" ? errors++ : warnings++));
            const l = u.state.doc.lineAt(u.state.selection.main.head);
            setSt((p) => {
              const n = { line: l.number, col: u.state.selection.main.head - l.from + 1, errors, warnings };
              return JSON.stringify(n) === JSON.stringify(p) ? p : n;
            });
          }),
        ],
      }),
    });
    v.scrollDOM.tabIndex = 0;
    view.current = v;
    return () => v.destroy();
  }, []);

  useEffect(() => {
    const v = view.current;
    if (v && v.state.doc.toString() !== value) v.dispatch({ changes: { from: 0, to: v.state.doc.length, insert: value } });
  }, [value]);

  useEffect(() => {
    view.current?.dispatch({
      effects: phrases.current.reconfigure(
        locale === "ja"
          ? EditorState.phrases.of({ Find: "検索", Replace: "置換", next: "次へ", previous: "前へ", all: "すべて", "match case": "大文字と小文字を区別", regexp: "正規表現", "by word": "単語単位", replace: "置換", "replace all": "すべて置換", close: "閉じる", Diagnostics: "診断", "No diagnostics": "診断はありません" })
          : [],
      ),
    });
  }, [locale]);

  // a state picked in the graph is scrolled to here
  useEffect(() => {
    const v = view.current;
    if (!v || !selected || stateAt(v.state, v.state.selection.main.head) === selected) return;
    const find = (d: any, ptr: string): string | null => {
      for (const [n, s] of Object.entries<any>(d?.States ?? {})) {
        const p = `${ptr}/States/${n.replace(/~/g, "~0").replace(/\//g, "~1")}`;
        if (n === selected) return p;
        const kids = [...(s.Branches ?? []).map((b: any, i: number) => [b, `${p}/Branches/${i}`]), ...(s.ItemProcessor ? [[s.ItemProcessor, p + "/ItemProcessor"]] : [])];
        for (const [k, q] of kids) {
          const r = find(k, q);
          if (r) return r;
        }
      }
      return null;
    };
    try {
      const ptr = find(JSON.parse(v.state.doc.toString()), "");
      const r = ptr && pointerRange(v.state, ptr);
      if (r) v.dispatch({ selection: { anchor: r.from, head: r.to }, effects: EditorView.scrollIntoView(r.from, { y: "center" }) });
    } catch {
      /* text does not parse */
    }
  }, [selected]);

  return (
    <div className="asl-editor" style={{ height }}>
      <div ref={host} className="asl-editor-host" />
      <div className="asl-editor-bar">
        <span>ASL</span>
        <span>{tr("line", { line: st.line, col: st.col })}</span>
        <button type="button" className={st.errors ? "bad" : st.warnings ? "warn" : ""} onClick={() => view.current && openLintPanel(view.current)}>
          {tr("problems", { errors: st.errors, warnings: st.warnings })}
        </button>
      </div>
    </div>
  );
}
