import { useEffect, useRef, useState } from "react";
import { EditorState } from "@codemirror/state";
import { drawSelection, EditorView, highlightActiveLine, keymap, lineNumbers } from "@codemirror/view";
import { defaultKeymap, history, historyKeymap, indentWithTab } from "@codemirror/commands";
import { bracketMatching, HighlightStyle, syntaxHighlighting } from "@codemirror/language";
import { forceLinting, linter, lintGutter, lintKeymap } from "@codemirror/lint";
import { closeBrackets } from "@codemirror/autocomplete";
import { json } from "@codemirror/lang-json";
import { tags as t } from "@lezer/highlight";
import Badge from "@cloudscape-design/components/badge";
import Button from "@cloudscape-design/components/button";
import StatusIndicator from "@cloudscape-design/components/status-indicator";
import { validate, type Finding, type PolicyKind } from "../../aws/rest";
import { useI18n } from "../../i18n";
import { useTexts } from "../../i18n/page";
import texts from "../../i18n/pages/iam";
import "../../editor/editor.css";
import "./iam.css";

const cspNonce = document.querySelector<HTMLMetaElement>('meta[property="csp-nonce"]')?.nonce;
const hl = HighlightStyle.define([
  { tag: t.propertyName, class: "tk-prop" },
  { tag: t.string, class: "tk-str" },
  { tag: t.number, class: "tk-num" },
  { tag: [t.bool, t.null], class: "tk-kw" },
]);
const delay = 500; // ms without a key before the document is checked
const colors = { ERROR: "red", SECURITY_WARNING: "severity-medium", WARNING: "severity-medium", SUGGESTION: "blue" } as const;

// PolicyEditor shows a policy and what the rules find in it, by their IDs.
export default function PolicyEditor({ value, kind, onChange, readOnly = false, height = 380 }: { value: string; kind: PolicyKind; onChange?: (v: string) => void; readOnly?: boolean; height?: number }) {
  const { locale } = useI18n();
  const say = useTexts(texts);
  const host = useRef<HTMLDivElement>(null);
  const view = useRef<EditorView>(null);
  const [found, setFound] = useState<Finding[] | "busy" | Error>("busy");
  const now = useRef({ onChange, locale, kind });
  now.current = { onChange, locale, kind };
  useEffect(() => {
    const v = new EditorView({
      parent: host.current!,
      state: EditorState.create({
        doc: value,
        extensions: [
          lineNumbers(), history(), drawSelection(), bracketMatching(), closeBrackets(), highlightActiveLine(), json(), syntaxHighlighting(hl), lintGutter(),
          linter(
            async (w) => {
              const text = w.state.doc.toString();
              setFound("busy");
              try {
                const fs = await validate(text, now.current.kind, now.current.locale);
                setFound(fs);
                const at = (n: number) => Math.min(n, w.state.doc.length);
                return fs.map((f) => ({
                  from: at(f.locations[0]!.span.start.offset),
                  to: at(f.locations[0]!.span.end.offset),
                  severity: f.findingType === "ERROR" ? ("error" as const) : f.findingType === "SUGGESTION" ? ("info" as const) : ("warning" as const),
                  message: `${f.issueCode}: ${f.findingDetails}`,
                }));
              } catch (e) {
                setFound(e as Error);
                return [];
              }
            },
            { delay },
          ),
          keymap.of([...defaultKeymap, ...historyKeymap, ...lintKeymap, indentWithTab]),
          EditorView.lineWrapping,
          EditorView.contentAttributes.of({ "aria-label": say("document") }),
          readOnly ? EditorState.readOnly.of(true) : [],
          cspNonce ? EditorView.cspNonce.of(cspNonce) : [],
          EditorView.updateListener.of((u) => u.docChanged && now.current.onChange?.(u.state.doc.toString())),
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
  useEffect(() => void (view.current && forceLinting(view.current)), [locale, kind]);
  const go = (f: Finding) => {
    const v = view.current!;
    const { start, end } = f.locations[0]!.span;
    v.dispatch({ selection: { anchor: start.offset, head: end.offset }, effects: EditorView.scrollIntoView(start.offset, { y: "center" }) });
    v.focus();
  };
  return (
    <div>
      <div className="asl-editor" style={{ height }}>
        <div ref={host} className="asl-editor-host" />
      </div>
      <div className="findings" aria-live="polite">
        {found === "busy" ? (
          <StatusIndicator type="loading">{say("checking")}</StatusIndicator>
        ) : found instanceof Error ? (
          <StatusIndicator type="warning">{say("unchecked", { why: found.message })}</StatusIndicator>
        ) : found.length === 0 ? (
          <StatusIndicator type="success">{say("noFindings")}</StatusIndicator>
        ) : (
          <ul aria-label={say("findings")}>
            {found.map((f, i) => (
              <li key={i}>
                <Badge color={colors[f.findingType]}>{say(f.findingType)}</Badge> <code>{f.issueCode}</code>{" "}
                <Button variant="inline-link" onClick={() => go(f)}>
                  {say("findingAt", { line: f.locations[0]!.span.start.line })}
                </Button>{" "}
                {f.findingDetails}
              </li>
            ))}
          </ul>
        )}
      </div>
    </div>
  );
}
