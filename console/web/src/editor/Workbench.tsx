import { useCallback, useDeferredValue, useEffect, useRef, useState } from "react";
import Alert from "@cloudscape-design/components/alert";
import Link from "@cloudscape-design/components/link";
import Container from "@cloudscape-design/components/container";
import Grid from "@cloudscape-design/components/grid";
import Header from "@cloudscape-design/components/header";
import SegmentedControl from "@cloudscape-design/components/segmented-control";
import SpaceBetween from "@cloudscape-design/components/space-between";
import Spinner from "@cloudscape-design/components/spinner";
import later from "../app/later";
import AslGraph from "../graph/AslGraph";
import Direction, { useDirection } from "../graph/Direction";
import { sfn } from "../aws/clients";
import { useI18n } from "../i18n";
import { useTexts } from "../i18n/page";
import designTexts from "../i18n/pages/design";
import type { Finding } from "./AslEditor";

const AslEditor = later(() => import("./AslEditor"), <Spinner />);
const Design = later(() => import("./Design"), <Spinner />);

const mostUndone = 200; // steps that are remembered
const patienceMs = 400;
const large = 20_000; // characters of a definition whose graph is drawn before its text is taken up

export type WorkbenchProps = { value: string; onChange: (v: string) => void; express?: boolean; readOnly?: boolean; role?: string };

// Workbench is a definition as text and as a graph; what is chosen in the one is shown in the
// other. Where it can be changed, it can be by its text or by its graph.
export default function Workbench({ value, onChange, express = false, readOnly = false, role }: WorkbenchProps) {
  const { t } = useI18n();
  const tr = useTexts(designTexts);
  const [dir, setDir] = useDirection();
  const [mode, setMode] = useState<"code" | "design">("code");
  const [selected, select] = useState<string>();
  const shown = useDeferredValue(value);
  const [taken, take] = useState(value.length < large);
  useEffect(() => {
    if (taken) return;
    const off = new AbortController();
    const ready = () => !off.signal.aborted && take(true);
    if ("requestIdleCallback" in window) requestIdleCallback(ready, { timeout: patienceMs });
    else setTimeout(ready, patienceMs);
    return () => off.abort();
  }, [taken]);
  const check = useCallback(
    async (definition: string): Promise<Finding[]> => {
      const { m, c } = await sfn();
      const r = await c.send(new m.ValidateStateMachineDefinitionCommand({ definition, type: express ? "EXPRESS" : "STANDARD" }));
      return r.diagnostics ?? [];
    },
    [express],
  );
  // What was before each change of the design, and what was undone. Typing in the code has an
  // undo of its own; a text that came from elsewhere ends what can be redone.
  const past = useRef<string[]>([]);
  const future = useRef<string[]>([]);
  const edit = (v: string) => {
    if (v === value) return;
    past.current = [...past.current.slice(1 - mostUndone), value];
    future.current = [];
    onChange(v);
  };
  const step = (from: typeof past, to: typeof past) => {
    const v = from.current.at(-1);
    if (v === undefined) return;
    from.current = from.current.slice(0, -1);
    to.current = [...to.current, value];
    onChange(v);
  };
  const layout = <Direction dir={dir} onChange={setDir} />;
  // The other mode has a header of its own: the focus goes with the choice.
  const choice = useRef<HTMLDivElement>(null);
  const chosen = useRef(mode);
  useEffect(() => {
    if (chosen.current !== mode) (choice.current?.querySelector<HTMLElement>("[aria-pressed=true]") ?? choice.current?.querySelector("button"))?.focus();
    chosen.current = mode;
  }, [mode]);
  const modes = !readOnly && (
    <div ref={choice}>
      <SegmentedControl
        selectedId={mode}
        onChange={(e) => setMode(e.detail.selectedId as typeof mode)}
        label={tr("editor")}
        options={[
          { id: "code", text: tr("code") },
          { id: "design", text: tr("design") },
        ]}
      />
    </div>
  );
  if (mode === "design" && !readOnly)
    return (
      <Container
        header={
          <Header
            variant="h2"
            actions={
              <SpaceBetween direction="horizontal" size="s">
                {modes}
                {layout}
              </SpaceBetween>
            }
          >
            {t("definition")}
          </Header>
        }
      >
        <Findings value={value} check={check} onSelect={select} />
        <Design
          value={value}
          onChange={edit}
          selected={selected}
          onSelect={select}
          dir={dir}
          role={role}
          edits={{ undo: past.current.length ? () => step(past, future) : undefined, redo: future.current.length ? () => step(future, past) : undefined }}
        />
      </Container>
    );
  return (
    <Grid gridDefinition={[{ colspan: { default: 12, s: 6 } }, { colspan: { default: 12, s: 6 } }]}>
      <Container header={<Header variant="h2" actions={modes}>{t("definition")}</Header>}>
        {taken ? <AslEditor value={value} onChange={onChange} check={check} selected={selected} onSelect={select} height={640} readOnly={readOnly} /> : <Spinner />}
      </Container>
      <Container header={<Header variant="h2" actions={layout}>{t("graph")}</Header>}>
        <AslGraph definition={shown} dir={dir} selected={selected} onSelect={select} height={640} />
      </Container>
    </Grid>
  );
}

const checkAfterMs = 600; // without a change

// Findings is what the server says of a definition that is changed by its graph. Where the server
// cannot be asked, saving will tell.
function Findings({ value, check, onSelect }: { value: string; check: (d: string) => Promise<Finding[]>; onSelect: (n: string) => void }) {
  const [found, setFound] = useState<Finding[]>([]);
  useEffect(() => {
    let live = true;
    const timer = setTimeout(() => void check(value).then((f) => live && setFound(f), () => live && setFound([])), checkAfterMs);
    return () => {
      live = false;
      clearTimeout(timer);
    };
  }, [value, check]);
  if (found.length === 0) return null;
  const state = (at = "") => [...at.matchAll(/\/States\/([^/]+)/g)].at(-1)?.[1]?.replace(/~1/g, "/").replace(/~0/g, "~");
  return (
    <Alert type={found.some((f) => f.severity === "ERROR") ? "error" : "warning"}>
      {found.slice(0, 5).map((f, i) => {
        const name = state(f.location);
        return (
          <div key={i}>
            {name !== undefined && (
              <Link
                href="#"
                onFollow={(e) => {
                  e.preventDefault();
                  onSelect(name);
                }}
              >
                {name}
              </Link>
            )}{" "}
            <b>{f.code}</b> {f.message}
          </div>
        );
      })}
    </Alert>
  );
}
