import { useDeferredValue, useMemo, useState } from "react";
import Header from "@cloudscape-design/components/header";
import SpaceBetween from "@cloudscape-design/components/space-between";
import TextFilter from "@cloudscape-design/components/text-filter";
import { duration, Empty, Status } from "../../app/parts";
import Preferences, { useView } from "../../app/Preferences";
import Rows, { type Column } from "../../app/rows";
import type { History, Visit } from "../../model/history";
import { byState, type Record_ } from "../../model/inference";
import { hops } from "../../model/run";
import { useI18n } from "../../i18n";

// Bar is a visit on the time line of its execution: attempts that failed are red, waits between them grey.
// A mark stands where a model call went on to another Region.
export function Bar({ v, from, till, calls = [] }: { v: Visit; from: number; till: number; calls?: Record_[] }) {
  const { t } = useI18n();
  const hopped = calls.filter((r) => r.attempts.length > 1);
  const said = [duration(v.from, v.to, t), ...hopped.map(hops)].join(", ");
  const all = Math.max(1, till - from);
  const place = (a: Date, b: Date | undefined) => ({
    left: `${(100 * (a.getTime() - from)) / all}%`,
    width: `${(100 * Math.max(0, (b?.getTime() ?? till) - a.getTime())) / all}%`,
  });
  const retried = v.attempts.length > 1;
  return (
    <div className="bar" role="img" aria-label={said} title={said}>
      <i className={retried ? "b-wait" : `b-${v.status}`} style={place(v.from, v.to)} />
      {retried && v.attempts.map((a, i) => <i key={i} className={a.error ? "b-failed" : a.aborted ? "b-aborted" : a.to ? "b-succeeded" : "b-running"} style={place(a.from, a.to)} />)}
      {hopped.map((r) => (
        <b key={r.id} className="b-hop" style={{ left: `${Math.min(100, Math.max(0, (100 * (Math.max(r.time.getTime(), v.from.getTime()) - from)) / all))}%` }} />
      ))}
    </div>
  );
}

type Props = { h: History; visits: Visit[]; selected?: number; onSelect: (v: Visit) => void; records: Record_[]; made: Map<number, Record_[]> };

export default function States({ h, visits, selected, onSelect, records, made }: Props) {
  const { t, clock } = useI18n();
  const [text, setText] = useState("");
  const [view, setView] = useView("run-states");
  const sought = useDeferredValue(text.toLowerCase());
  const from = h.from?.getTime() ?? 0;
  const till = (h.to ?? new Date()).getTime();
  // Where a record cannot be told to be a visit's own, it is one of those of the state that are
  // left: their Region is known if it is one.
  const regions = useMemo(() => {
    const told = new Set([...made.values()].flat());
    return byState(records.filter((r) => !told.has(r)));
  }, [records, made]);
  const regionOf = (v: Visit) => {
    const own = made.get(v.id);
    if (own) return own.map(hops).filter(Boolean).join(", ") || "–";
    const all = regions[v.name]?.shares ?? [];
    return all.length > 1 ? t("regionsN", { n: all.length }) : (all[0]?.region ?? "–");
  };
  const items = useMemo(() => (sought === "" ? visits : visits.filter((v) => `${v.name} ${v.type} ${v.status} ${v.where} ${v.error ?? ""}`.toLowerCase().includes(sought))), [visits, sought]);
  const columns: Column<Visit>[] = useMemo(
    () => [
      {
        id: "name",
        header: t("name"),
        width: 150,
        grow: 2,
        cell: (v) => (
          <span title={v.name} style={{ paddingInlineStart: 16 * Math.min(v.depth, 6) }}>
            {v.name}
          </span>
        ),
      },
      { id: "iteration", header: t("iteration"), width: 100, grow: 1, cell: (v) => <span title={v.where}>{v.where || "–"}</span> },
      { id: "type", header: t("type"), width: 70, cell: (v) => v.type },
      { id: "status", header: t("status"), width: 130, cell: (v) => <Status status={v.status} /> },
      { id: "region", header: t("inferenceRegion"), width: 135, grow: 1, cell: (v) => <span title={regionOf(v)}>{regionOf(v)}</span> },
      { id: "started", header: t("started"), width: 108, cell: (v) => clock(v.from) },
      { id: "duration", header: t("duration"), width: 80, cell: (v) => duration(v.from, v.to, t) },
      { id: "timeline", header: t("timeline"), width: 150, grow: 2, cell: (v) => <Bar v={v} from={from} till={till} calls={made.get(v.id)} /> },
    ],
    [t, clock, from, till, made, regions],
  );
  return (
    <SpaceBetween size="s">
      <Header variant="h3" counter={`(${items.length})`} actions={<Preferences columns={columns} view={view} onChange={setView} paged={false} />}>
        {t("states")}
      </Header>
      <TextFilter filteringText={text} onChange={(e) => setText(e.detail.filteringText)} filteringPlaceholder={t("findStates")} filteringAriaLabel={t("findStates")} countText={t("matchesN", { n: items.length })} />
      <Rows label={t("states")} items={items} columns={columns.filter((c) => !view.hidden.includes(c.id))} trackBy={(v) => v.id} selected={selected} onSelect={onSelect} empty={<Empty title={t("noMatches")} />} />
    </SpaceBetween>
  );
}
