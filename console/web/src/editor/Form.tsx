// The form of one state.
import { useEffect, useState, type ReactNode } from "react";
import Button from "@cloudscape-design/components/button";
import ExpandableSection from "@cloudscape-design/components/expandable-section";
import FormField from "@cloudscape-design/components/form-field";
import Input from "@cloudscape-design/components/input";
import Select from "@cloudscape-design/components/select";
import SpaceBetween from "@cloudscape-design/components/space-between";
import Textarea from "@cloudscape-design/components/textarea";
import { useTexts } from "../i18n/page";
import designTexts from "../i18n/pages/design";
import { terminal, type Place } from "./design";

type Doc = Record<string, any>;
export type FormProps = { name: string; place: Place; taken: string[]; onChange: (s: Doc) => void; onRename: (to: string) => void };

// The fields of each type that hold documents, by query language; those of data flow first.
const documents: Record<string, { JSONata: string[]; JSONPath: string[] }> = {
  Task: { JSONata: ["Arguments", "Output", "Assign"], JSONPath: ["InputPath", "Parameters", "ResultSelector", "ResultPath", "OutputPath", "Assign"] },
  Pass: { JSONata: ["Output", "Assign"], JSONPath: ["InputPath", "Parameters", "Result", "ResultPath", "OutputPath", "Assign"] },
  Choice: { JSONata: ["Output", "Assign"], JSONPath: ["InputPath", "OutputPath", "Assign"] },
  Wait: { JSONata: ["Output", "Assign"], JSONPath: ["InputPath", "OutputPath", "Assign"] },
  Succeed: { JSONata: ["Output"], JSONPath: ["InputPath", "OutputPath"] },
  Fail: { JSONata: [], JSONPath: [] },
  Parallel: { JSONata: ["Arguments", "Output", "Assign"], JSONPath: ["InputPath", "Parameters", "ResultSelector", "ResultPath", "OutputPath", "Assign"] },
  Map: { JSONata: ["Items", "ItemSelector", "Output", "Assign"], JSONPath: ["InputPath", "ItemsPath", "ItemSelector", "ResultSelector", "ResultPath", "OutputPath", "Assign"] },
};
const plain: Record<string, { JSONata: string[]; JSONPath: string[] }> = {
  Fail: { JSONata: ["Error", "Cause"], JSONPath: ["Error", "ErrorPath", "Cause", "CausePath"] },
};
const numbers: Record<string, string[]> = { Task: ["TimeoutSeconds", "HeartbeatSeconds"], Map: ["MaxConcurrency", "ToleratedFailurePercentage", "ToleratedFailureCount"] };
const distributedDocuments = ["ItemReader", "ItemBatcher", "ResultWriter"];
const waits = ["Seconds", "Timestamp", "SecondsPath", "TimestampPath"];
const resources = ["arn:aws:states:::bedrock:invokeModel", "arn:aws:states:::aws-sdk:bedrockruntime:converse", "arn:aws:states:::lambda:invoke", "arn:aws:states:::states:startExecution.sync:2"];

// A text that is typed becomes part of the definition when the field is left.
function Typed({ label, value, onCommit, area = false, hint, check }: { label: string; value: string; onCommit: (v: string) => void; area?: boolean; hint?: string; check?: (v: string) => string }) {
  const [text, setText] = useState(value);
  useEffect(() => setText(value), [value]);
  const wrong = text !== value && check ? check(text) : "";
  const commit = () => text !== value && !wrong && onCommit(text);
  return (
    <FormField label={label} constraintText={area && text === "" ? hint : undefined} errorText={wrong} stretch>
      {area ? (
        <div className="code-area">
          <Textarea value={text} onChange={(e) => setText(e.detail.value)} onBlur={commit} rows={Math.min(10, Math.max(1, text.split("\n").length))} spellcheck={false} />
        </div>
      ) : (
        <Input value={text} onChange={(e) => setText(e.detail.value)} onBlur={commit} onKeyDown={(e) => e.detail.key === "Enter" && commit()} spellcheck={false} />
      )}
    </FormField>
  );
}

const shown = (v: unknown) => (v === undefined ? "" : typeof v === "string" && /^\s*\{%/.test(v) ? v : JSON.stringify(v, null, 2));

// read is what was typed as a document: an expression is a text, all else JSON.
function read(text: string): unknown {
  const s = text.trim();
  if (s === "") return undefined;
  if (/^\{%[\s\S]*%\}$/.test(s)) return s;
  return JSON.parse(s);
}

export default function StateForm({ name, place, taken, onChange, onRename }: FormProps) {
  const tr = useTexts(designTexts);
  const s = place.state;
  const type = String(s.Type);
  const jsonata = place.language === "JSONata";
  const put = (k: string, v: unknown) => {
    const { [k]: _, ...rest } = s;
    onChange(v === undefined ? rest : { ...s, [k]: v });
  };
  const json = (label: string, v: unknown, commit: (v: unknown) => void): ReactNode => (
    <Typed
      key={label}
      label={label}
      value={shown(v)}
      area
      hint={tr(jsonata ? "jsonHint" : "jsonPathHint")}
      check={(text) => {
        try {
          read(text);
          return "";
        } catch (e) {
          return tr("invalid", { why: (e as Error).message });
        }
      }}
      onCommit={(text) => commit(read(text))}
    />
  );
  const number = (k: string): ReactNode => (
    <Typed key={k} label={k} value={s[k] === undefined ? "" : String(s[k])} onCommit={(v) => put(k, v.trim() === "" ? undefined : Number.isFinite(Number(v)) ? Number(v) : v)} />
  );
  const pick = (label: string, v: string | undefined, options: string[], set: (v: string | undefined) => void, none?: string) => {
    const all = [...(none !== undefined ? [{ value: "", label: none }] : []), ...options.map((o) => ({ value: o, label: o }))];
    return (
      <FormField key={label} label={label} stretch>
        <Select selectedOption={all.find((o) => o.value === (v ?? "")) ?? (v ? { value: v, label: v } : null)} options={all} filteringType={all.length > 12 ? "auto" : "none"} onChange={(e) => set(e.detail.selectedOption.value || undefined)} />
      </FormField>
    );
  };
  const others = place.siblings.filter((n) => n !== name);
  const rows = (k: string, texts: { title: string; add: string; remove: (n: number) => string }, fresh: () => Doc, row: (r: Doc, set: (r: Doc) => void) => ReactNode) => {
    const all: Doc[] = Array.isArray(s[k]) ? s[k] : [];
    const keep = (v: Doc[]) => put(k, v.length || k === "Choices" ? v : undefined);
    return (
      <ExpandableSection key={k} headerText={`${texts.title} (${all.length})`} defaultExpanded={k === "Choices" || all.length > 0}>
        <SpaceBetween size="s">
          {all.map((r, i) => (
            <div className="design-rule" key={i}>
              <SpaceBetween size="xs">
                {row(r, (v) => keep(all.map((x, n) => (n === i ? v : x))))}
                <Button variant="inline-link" ariaLabel={texts.remove(i + 1)} onClick={() => keep(all.filter((_, n) => n !== i))}>
                  {texts.remove(i + 1)}
                </Button>
              </SpaceBetween>
            </div>
          ))}
          <Button onClick={() => keep([...all, fresh()])}>{texts.add}</Button>
        </SpaceBetween>
      </ExpandableSection>
    );
  };
  const list = (text: string) => text.split(",").map((x) => x.trim()).filter(Boolean);
  const setIn = (r: Doc, k: string, v: unknown): Doc => {
    const { [k]: _, ...rest } = r;
    return v === undefined ? rest : { ...r, [k]: v };
  };
  const num = (r: Doc, k: string, label: string, set: (r: Doc) => void) => <Typed label={label} value={r[k] === undefined ? "" : String(r[k])} onCommit={(v) => set(setIn(r, k, v.trim() === "" ? undefined : Number(v)))} />;
  const wait = waits.find((k) => s[k] !== undefined) ?? "Seconds";
  const processor = s.ItemProcessor ?? {};
  const mode = processor.ProcessorConfig?.Mode ?? "INLINE";
  return (
    <SpaceBetween size="s">
      <Typed label={tr("name")} value={name} onCommit={(v) => onRename(v.trim())} check={(v) => (v.trim() !== name && taken.includes(v.trim()) ? tr("nameTaken") : "")} />
      {type === "Task" && (
        <SpaceBetween size="s">
          {!resources.includes(s.Resource) ? null : pick(tr("pickResource"), s.Resource, resources, (v) => v && put("Resource", v))}
          <Typed label="Resource" value={String(s.Resource ?? "")} onCommit={(v) => put("Resource", v.trim())} />
        </SpaceBetween>
      )}
      {type === "Choice" &&
        rows(
          "Choices",
          { title: tr("rules"), add: tr("addRule"), remove: (n) => tr("removeRule", { n }) },
          () => ({ ...(jsonata ? { Condition: "{% true %}" } : { Variable: "$.value", IsPresent: true }), Next: others[0] ?? name }),
          (r, set) => (
            <SpaceBetween size="s">
              {jsonata ? (
                <Typed label={tr("condition")} value={String(r.Condition ?? "")} area onCommit={(v) => set({ ...r, Condition: /^\s*\{%/.test(v) ? v.trim() : `{% ${v.trim()} %}` })} />
              ) : (
                json(tr("conditionPath"), Object.fromEntries(Object.entries(r).filter(([k]) => k !== "Next")), (v) => set({ ...(v as Doc), Next: r.Next }))
              )}
              {pick(tr("next"), r.Next, others, (v) => v && set({ ...r, Next: v }))}
            </SpaceBetween>
          ),
        )}
      {type === "Choice" && pick(tr("otherwise"), s.Default, others, (v) => put("Default", v), tr("none"))}
      {type === "Wait" && (
        <SpaceBetween size="s">
          {pick(tr("waitFor"), wait, jsonata ? waits.slice(0, 2) : waits, (k) => {
            const { Seconds: _a, Timestamp: _b, SecondsPath: _c, TimestampPath: _d, ...rest } = s;
            onChange({ ...rest, [k!]: k === "Seconds" ? 5 : k === "Timestamp" ? "2030-01-01T00:00:00Z" : "$.value" });
          })}
          <Typed label={wait} value={String(s[wait] ?? "")} onCommit={(v) => put(wait, wait === "Seconds" && /^\d+$/.test(v.trim()) ? Number(v) : v.trim())} />
        </SpaceBetween>
      )}
      {type === "Map" && (
        <SpaceBetween size="s">
          {pick(tr("mode"), mode === "DISTRIBUTED" ? tr("distributed") : tr("inline"), [tr("inline"), tr("distributed")], (v) =>
            put("ItemProcessor", { ...processor, ProcessorConfig: v === tr("distributed") ? { Mode: "DISTRIBUTED", ExecutionType: "STANDARD" } : { Mode: "INLINE" } }),
          )}
          {mode === "DISTRIBUTED" && pick(tr("childType"), processor.ProcessorConfig?.ExecutionType ?? "STANDARD", ["STANDARD", "EXPRESS"], (v) => put("ItemProcessor", { ...processor, ProcessorConfig: { Mode: "DISTRIBUTED", ExecutionType: v } }))}
          {pick(tr("first"), processor.StartAt, Object.keys(processor.States ?? {}), (v) => v && put("ItemProcessor", { ...processor, StartAt: v }))}
        </SpaceBetween>
      )}
      {type === "Parallel" && (
        <SpaceBetween size="s">
          {(s.Branches ?? []).map((b: Doc, i: number) => (
            <div className="design-rule" key={i}>
              {pick(`${tr("branch", { n: i + 1 })}: ${tr("first")}`, b.StartAt, Object.keys(b.States ?? {}), (v) => v && put("Branches", s.Branches.map((x: Doc, n: number) => (n === i ? { ...x, StartAt: v } : x))))}
              {s.Branches.length > 1 && (
                <Button variant="inline-link" onClick={() => put("Branches", s.Branches.filter((_: Doc, n: number) => n !== i))}>
                  {tr("removeBranch", { n: i + 1 })}
                </Button>
              )}
            </div>
          ))}
          <Button
            onClick={() => {
              let n = `Branch ${(s.Branches ?? []).length + 1}`;
              for (let i = 2; taken.includes(n); i++) n = `Branch ${(s.Branches ?? []).length + 1} (${i})`;
              put("Branches", [...(s.Branches ?? []), { StartAt: n, States: { [n]: { Type: "Pass", End: true } } }]);
            }}
          >
            {tr("addBranch")}
          </Button>
        </SpaceBetween>
      )}
      {(plain[type]?.[place.language] ?? []).map((k) => (
        <Typed key={k} label={k} value={String(s[k] ?? "")} onCommit={(v) => put(k, v === "" ? undefined : v)} />
      ))}
      {!terminal(type) && type !== "Choice" && pick(tr("next"), s.Next, others, (v) => onChange(v ? { ...setIn(s, "End", undefined), Next: v } : { ...setIn(s, "Next", undefined), End: true }), tr("end"))}
      <ExpandableSection headerText={tr("data")} defaultExpanded>
        <SpaceBetween size="s">
          {(documents[type]?.[place.language] ?? []).map((k) =>
            k.endsWith("Path") ? (
              <Typed key={k} label={k} value={s[k] === null ? "null" : String(s[k] ?? "")} onCommit={(v) => put(k, v.trim() === "" ? undefined : v.trim() === "null" ? null : v.trim())} />
            ) : (
              json(k, s[k], (v) => put(k, v))
            ),
          )}
          {type === "Map" && mode === "DISTRIBUTED" && distributedDocuments.map((k) => json(k, s[k], (v) => put(k, v)))}
          {(numbers[type] ?? []).map(number)}
          <Typed label={tr("comment")} value={String(s.Comment ?? "")} onCommit={(v) => put("Comment", v === "" ? undefined : v)} />
        </SpaceBetween>
      </ExpandableSection>
      {["Task", "Map", "Parallel"].includes(type) && (
        <SpaceBetween size="s">
          {rows(
            "Retry",
            { title: tr("retry"), add: tr("addRetry"), remove: (n) => tr("removeRetry", { n }) },
            () => ({ ErrorEquals: ["States.ALL"], IntervalSeconds: 1, MaxAttempts: 3, BackoffRate: 2 }),
            (r, set) => (
              <SpaceBetween size="s">
                <Typed label={tr("errors")} value={(r.ErrorEquals ?? []).join(", ")} onCommit={(v) => set({ ...r, ErrorEquals: list(v) })} />
                <div className="design-two">
                  {num(r, "IntervalSeconds", tr("interval"), set)}
                  {num(r, "MaxAttempts", tr("attempts"), set)}
                  {num(r, "BackoffRate", tr("backoff"), set)}
                </div>
              </SpaceBetween>
            ),
          )}
          {rows(
            "Catch",
            { title: tr("catch"), add: tr("addCatch"), remove: (n) => tr("removeCatch", { n }) },
            () => ({ ErrorEquals: ["States.ALL"], Next: others[0] ?? name }),
            (r, set) => (
              <SpaceBetween size="s">
                <Typed label={tr("errors")} value={(r.ErrorEquals ?? []).join(", ")} onCommit={(v) => set({ ...r, ErrorEquals: list(v) })} />
                {pick(tr("next"), r.Next, others, (v) => v && set({ ...r, Next: v }))}
                {jsonata ? json("Output", r.Output, (v) => set(setIn(r, "Output", v))) : <Typed label="ResultPath" value={String(r.ResultPath ?? "")} onCommit={(v) => set(setIn(r, "ResultPath", v === "" ? undefined : v))} />}
              </SpaceBetween>
            ),
          )}
        </SpaceBetween>
      )}
    </SpaceBetween>
  );
}
