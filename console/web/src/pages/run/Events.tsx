import { useDeferredValue, useMemo, useState } from "react";
import type { HistoryEvent } from "@aws-sdk/client-sfn";
import Box from "@cloudscape-design/components/box";
import Container from "@cloudscape-design/components/container";
import Header from "@cloudscape-design/components/header";
import SpaceBetween from "@cloudscape-design/components/space-between";
import StatusIndicator from "@cloudscape-design/components/status-indicator";
import TextFilter from "@cloudscape-design/components/text-filter";
import Toggle from "@cloudscape-design/components/toggle";
import { Code, Copy, duration, Empty } from "../../app/parts";
import Preferences, { useView } from "../../app/Preferences";
import Rows, { type Column } from "../../app/rows";
import { detail, type History } from "../../model/history";
import { useI18n } from "../../i18n";
import { useTexts } from "../../i18n/page";
import runTexts from "../../i18n/pages/run";

// What is searched of an event is made once.
const texts = new WeakMap<HistoryEvent, string>();
const textOf = (e: HistoryEvent, name: string | undefined) => {
  let s = texts.get(e);
  if (s === undefined) texts.set(e, (s = [e.id, e.type, name, ...Object.values(detail(e)).map((v) => (typeof v === "string" ? v : JSON.stringify(v)))].join(" ").toLowerCase()));
  return s;
};

export default function Events({ events, h, compact = false }: { events: readonly HistoryEvent[]; h: History; compact?: boolean }) {
  const { t, clock } = useI18n();
  const tr = useTexts(runTexts);
  const [open, setOpen] = useState<HistoryEvent>();
  const [text, setText] = useState("");
  const [view, setView] = useView("run-events");
  const newest = view.sort?.descending === true && !compact;
  const sought = useDeferredValue(text.toLowerCase());
  const items = useMemo(() => {
    const found = sought === "" ? events : events.filter((e) => textOf(e, h.nameOf.get(e.id!)).includes(sought));
    return newest ? [...found].reverse() : found;
  }, [events, sought, h, newest]);
  const columns: Column<HistoryEvent>[] = useMemo(() => {
    const type = (e: HistoryEvent) => (/Failed|TimedOut|Aborted/.test(String(e.type)) ? <StatusIndicator type="error">{e.type}</StatusIndicator> : e.type);
    const all: Column<HistoryEvent>[] = [
      { id: "id", header: t("id"), width: 64, cell: (e) => e.id },
      { id: "type", header: t("type"), width: 190, grow: 2, cell: type },
      { id: "step", header: t("step"), width: 140, grow: 2, cell: (e) => h.nameOf.get(e.id!) ?? "–" },
      { id: "iteration", header: t("iteration"), width: 120, grow: 1, cell: (e) => h.visitOf.get(e.id!)?.where || "–" },
      { id: "elapsed", header: t("duration"), width: 100, cell: (e) => duration(h.from, e.timestamp, t) },
      { id: "time", header: t("time"), width: 120, cell: (e) => clock(e.timestamp) },
    ];
    return compact ? all.filter((c) => ["id", "type", "time"].includes(c.id)) : all;
  }, [t, clock, h, compact]);
  return (
    <SpaceBetween size="s">
      {!compact && (
        <>
          <Header variant="h3" counter={`(${items.length})`} actions={
              <SpaceBetween direction="horizontal" size="s" alignItems="center">
                <Toggle checked={newest} onChange={(e) => setView({ sort: { id: "id", descending: e.detail.checked } })}>
                  {tr("newestFirst")}
                </Toggle>
                <Preferences columns={columns} view={view} onChange={setView} paged={false} />
              </SpaceBetween>
            }
          >
            {tr("loadedEvents")}
          </Header>
          <TextFilter filteringText={text} onChange={(e) => setText(e.detail.filteringText)} filteringPlaceholder={t("findEvents")} filteringAriaLabel={t("findEvents")} countText={t("matchesN", { n: items.length })} />
        </>
      )}
      <Rows label={t("events")} items={items} columns={compact ? columns : columns.filter((c) => !view.hidden.includes(c.id))} trackBy={(e) => e.id!} selected={open?.id} onSelect={setOpen} height={compact ? 260 : 480} empty={<Empty title={t("noMatches")} />} />
      {open ? (
        <Container header={<Header variant="h3" actions={<Copy text={JSON.stringify(open, null, 2)} label={t("copy")} />}>{`${open.id} · ${open.type}`}</Header>}>
          <Code text={JSON.stringify(expanded(detail(open)), null, 2)} />
        </Container>
      ) : (
        <Box color="text-body-secondary">{tr("selectEvent")}</Box>
      )}
    </SpaceBetween>
  );
}

// expanded shows documents inside strings as documents.
export function expanded(d: Record<string, any>): Record<string, any> {
  return Object.fromEntries(
    Object.entries(d).map(([k, v]) => {
      if (typeof v !== "string" || !/^\s*[[{"]/.test(v)) return [k, v];
      try {
        return [k, JSON.parse(v)];
      } catch {
        return [k, v];
      }
    }),
  );
}
