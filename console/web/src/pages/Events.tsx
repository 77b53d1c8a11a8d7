import { useEffect, useMemo, useRef, useState } from "react";
import { useSearchParams } from "wouter";
import PropertyFilter, { type PropertyFilterProps } from "@cloudscape-design/components/property-filter";
import { useCollection } from "@cloudscape-design/collection-hooks";
import Alert from "@cloudscape-design/components/alert";
import Button from "@cloudscape-design/components/button";
import Container from "@cloudscape-design/components/container";
import Header from "@cloudscape-design/components/header";
import KeyValuePairs from "@cloudscape-design/components/key-value-pairs";
import Pagination from "@cloudscape-design/components/pagination";
import Select from "@cloudscape-design/components/select";
import SpaceBetween from "@cloudscape-design/components/space-between";
import StatusIndicator from "@cloudscape-design/components/status-indicator";
import Table from "@cloudscape-design/components/table";
import Toggle from "@cloudscape-design/components/toggle";
import later from "../app/later";
import { everywhere, type Asked } from "../aws/trail";
import { put, useParam } from "../app/address";
import { useLoad } from "../app/load";
import Preferences, { useView } from "../app/Preferences";
import { Arn, Code, Command, Copy, Empty, Go, pretty, Problem, to, WhyButton } from "../app/parts";
import { denied, inference, modelCalls, type Record_ } from "../model/inference";
import { current } from "../aws/session";
import { readFilter, writeFilter } from "../model/filter";
import { regionName, regions } from "../model/regions";
import { useI18n, type Key } from "../i18n";
import { useTexts } from "../i18n/page";
import texts from "../i18n/pages/trail";
import Chain from "./trail/Chain";

const Compare = later(() => import("./trail/Compare"));
const Proof = later(() => import("./trail/Proof"));
const compared = 5; // events side by side

// Attributes by which CloudTrail itself can look; it takes one of them a call, so the first is
// asked of it and the others are held against what it returns.
const attribute: Record<string, string> = { id: "EventId", name: "EventName", source: "EventSource", user: "Username", resource: "ResourceName", readOnly: "ReadOnly", accessKey: "AccessKeyId" };

const ranges: [string, Key, number][] = [
  ["30m", "last30m", 30 * 60_000],
  ["1h", "last1h", 3600_000],
  ["24h", "last24h", 24 * 3600_000],
  ["90d", "last90d", 90 * 24 * 3600_000],
];
const perLoad = 6; // pages of 50

// short is the end of an ARN that names the thing.
const short = (arn: string | undefined) => arn?.replace(/^arn:[^:]*:[^:]*:[^:]*:[^:]*:/, "") ?? "–";

type Row = Record_ & { resource: string };

export default function Events() {
  const { t, time, locale } = useI18n();
  const [query, setQuery] = useSearchParams();
  const [chosenRange, setRange] = useParam("range", "24h", "events");
  const [chosenReads, setReads] = useParam("reads", "", "events");
  const byId = query.get("id") !== null; // then time and kind do not matter
  const range = byId ? "90d" : ranges.some(([id]) => id === chosenRange) ? chosenRange : "24h";
  const reads = byId || chosenReads === "1";
  const here = current().region;
  const [where, setWhere] = useParam("in"); // the Region whose trail is read; "all" of them
  const wanted = where === "all" ? [here, ...regions.filter((r) => r !== here)] : [where || here];
  const [done, setDone] = useState(0);
  const [loads, setLoads] = useState(1);
  const [view, setView] = useView("events-table", { hidden: ["source", "region", "state", "tokens", "id"], wrap: false });
  // A link may name what to look for: ?id=…, ?name=InvokeModel, ?f=errorCode!=AccessDenied.
  const [filter, setFilter] = useState<PropertyFilterProps.Query>(() => readFilter(query, Object.keys(attribute)));
  const say = useTexts(texts);
  const [open, setOpen] = useState<Row>();
  const [picked, pick] = useState<Row[]>([]);
  const [comparing, setComparing] = useState(false);
  const pushed = filter.operation === "and" ? filter.tokens.find((x) => x.operator === "=" && x.propertyKey && attribute[x.propertyKey] && x.value) : undefined;
  const start = () => new Date(Date.now() - ranges.find(([id]) => id === range)![2]);
  // A console reads all the time; what changed something, asked a model or was refused is what is
  // looked for. CloudTrail cannot look for refusals: of reads, those among the newest are found.
  const questions: Asked[] = pushed
    ? [{ key: attribute[pushed.propertyKey!], value: String(pushed.value) }]
    : reads
      ? [{}]
      : [{ key: "ReadOnly", value: "false" }, ...modelCalls.map((value) => ({ key: "EventName", value }))];
  const hidden = !pushed && !reads && where !== "all";
  const { data, error, loading, reload } = useLoad(
    async (signal) => {
      setDone(0);
      const from = start();
      const r = await everywhere([...questions.map((q) => ({ ...q, start: from })), ...(hidden ? [{ start: from, besides: true }] : [])], wanted, perLoad * loads, signal, setDone);
      return { ...r, items: r.items.map((x): Row => ({ ...x, resource: x.resources.join(" ") })) };
    },
    [JSON.stringify(questions), range, loads, where],
  );
  const rows = useMemo(() => (data?.items ?? []).filter((r) => reads || !r.readOnly || inference(r) || r.errorCode), [data, reads]);
  const property = (key: string, label: Key, operators: string[] = ["=", "!=", ":"]) => ({ key, propertyLabel: t(label), groupValuesLabel: t(label), operators });
  const filteringProperties = [
    property("name", "eventName"),
    property("source", "eventSource"),
    property("user", "userName"),
    property("served", "inferenceRegion"),
    property("region", "sourceRegion"),
    property("resource", "resourceName"),
    property("errorCode", "errorCode"),
    property("state", "step"),
    property("requestId", "requestId"),
    property("id", "eventId"),
    property("executionArn", "executions"),
  ];
  const nothing = (
    <Empty title={t(filter.tokens.length > 0 ? "noMatches" : "noEventsThen")}>
      {filter.tokens.length > 0 && (
        <Button
          onClick={() => {
            const none = { operation: "and" as const, tokens: [] };
            setFilter(none);
            actions.setPropertyFiltering(none);
            setQuery(put((q) => writeFilter(q, none, Object.keys(attribute))), { replace: true });
          }}
        >
          {t("clearFilter")}
        </Button>
      )}
      {wanted.length === 1 && <Button onClick={() => setWhere("all")}>{t("allRegions")}</Button>}
      <Command text={`aws cloudtrail lookup-events --endpoint-url ${location.origin} --region ${where && where !== "all" ? where : here}`} />
    </Empty>
  );
  const { items, actions, collectionProps, paginationProps, propertyFilterProps, filteredItemsCount } = useCollection(rows, {
    propertyFiltering: { filteringProperties, defaultQuery: filter, noMatch: nothing, empty: nothing },
    pagination: { pageSize: view.pageSize },
    sorting: {},
  });
  const filteringOptions = useMemo(() => {
    const seen = new Set<string>();
    const out: { propertyKey: string; value: string }[] = [];
    for (const r of rows)
      for (const k of ["name", "source", "user", "served", "region", "errorCode", "state"] as const) {
        const value = r[k];
        if (!value || seen.has(k + value)) continue;
        seen.add(k + value);
        out.push({ propertyKey: k, value });
      }
    return out;
  }, [rows]);
  // what the address asks for is shown at once
  const shown = open ?? rows.find((r) => r.id === (query.get("record") ?? query.get("id")));
  const show = (r: Row | undefined) => {
    setOpen(r);
    setQuery(put((q) => (r ? q.set("record", r.id) : q.delete("record"))), { replace: true });
  };
  const columns = [
    { id: "time", header: t("time"), cell: (r: Row) => time(r.time), minWidth: 180 },
    { id: "name", header: t("eventName"), cell: (r: Row) => r.name, isRowHeader: true, minWidth: 130 },
    { id: "user", header: t("userName"), cell: (r: Row) => r.user || "–", minWidth: 110 },
    { id: "source", header: t("eventSource"), cell: (r: Row) => r.source.replace(".amazonaws.com", ""), minWidth: 100 },
    { id: "region", header: t("sourceRegion"), cell: (r: Row) => r.region || "–", minWidth: 140 },
    { id: "served", header: t("inferenceRegion"), cell: (r: Row) => r.served ?? "–", minWidth: 140 },
    { id: "error", header: t("errorCode"), cell: (r: Row) => (r.errorCode ? <StatusIndicator type="error">{r.errorCode}</StatusIndicator> : "–"), minWidth: 170 },
    { id: "resource", header: t("resourceName"), cell: (r: Row) => <span className="arn" title={r.resources[0]}>{short(r.resources[0])}</span>, minWidth: 240 },
    { id: "state", header: t("step"), cell: (r: Row) => r.state ?? "–", minWidth: 110 },
    { id: "tokens", header: t("tokens"), cell: (r: Row) => (r.inputTokens === undefined ? "–" : t("tokensInOut", { i: r.inputTokens, o: r.outputTokens ?? 0 })), minWidth: 120 },
    { id: "id", header: t("eventId"), cell: (r: Row) => <Arn arn={r.id} />, minWidth: 240 },
  ];
  const count = filteredItemsCount ?? rows.length;
  const place = useRef<HTMLDivElement>(null);
  useEffect(() => {
    if (shown) place.current?.scrollIntoView({ block: "nearest" });
  }, [shown?.id]);
  return (
    <SpaceBetween size="m">
      <Problem error={error} retry={reload} />
      <Table
        {...collectionProps}
        items={items}
        variant="full-page"
        loading={loading && rows.length === 0}
        loadingText={wanted.length > 1 ? t("regionsRead", { n: done, all: wanted.length }) : t("loading")}
        trackBy="id"
        selectionType="multi"
        selectedItems={picked}
        isItemDisabled={(r) => picked.length >= compared && !picked.some((x) => x.id === r.id)}
        onSelectionChange={(e) => {
          pick(e.detail.selectedItems.slice(0, compared));
          show(e.detail.selectedItems.at(-1));
        }}
        onRowClick={(e) => show(e.detail.item)}
        enableKeyboardNavigation
        ariaLabels={{ tableLabel: t("eventHistory"), selectionGroupLabel: t("eventHistory"), allItemsSelectionLabel: () => say("compareHint"), itemSelectionLabel: (_, r) => `${r.name} ${time(r.time)}` }}
        wrapLines={view.wrap}
        visibleColumns={columns.map((c) => c.id).filter((id) => !view.hidden.includes(id) || (id === "region" && wanted.length > 1))}
        preferences={<Preferences columns={columns} view={view} onChange={setView} />}
        header={
          <Header
            variant="h1"
            counter={data && `(${count}${data.more ? "+" : ""})`}
            description={where === "all" ? t("trailOfAll") : t("trailOf", { region: where || here })}
            actions={
              <SpaceBetween direction="horizontal" size="xs" alignItems="center">
                <Toggle checked={reads} disabled={byId} onChange={(e) => setReads(e.detail.checked ? "1" : "")}>
                  {t("showReads")}
                </Toggle>
                <Select
                  ariaLabel={t("sourceRegion")}
                  filteringType="auto"
                  selectedOption={where === "all" ? { value: "all", label: t("allRegions") } : { value: where || here, label: where || here }}
                  options={[{ value: "all", label: t("allRegions") }, ...(regions.includes(here) ? regions : [here, ...regions]).map((r) => ({ value: r, label: r, description: regionName(r, locale), tags: r === here ? [t("chosenRegion")] : undefined }))]}
                  onChange={(e) => setWhere(e.detail.selectedOption.value === here ? "" : e.detail.selectedOption.value!)}
                />
                <Select
                  ariaLabel={t("range")}
                  disabled={byId}
                  selectedOption={{ value: range, label: t(ranges.find(([id]) => id === range)![1]) }}
                  options={ranges.map(([value, k]) => ({ value, label: t(k) }))}
                  onChange={(e) => setRange(e.detail.selectedOption.value!)}
                />
                <Button disabled={picked.length < 2} onClick={() => setComparing(true)}>
                  {say("compare")}
                </Button>
                <Button iconName="refresh" ariaLabel={t("refresh")} onClick={reload} loading={loading} />
                {data?.more && (
                  <Button onClick={() => setLoads((n) => n + 1)} loading={loading}>
                    {t("loadMore")}
                  </Button>
                )}
              </SpaceBetween>
            }
          >
            {t("eventHistory")}
          </Header>
        }
        filter={
          <PropertyFilter
            {...propertyFilterProps}
            onChange={(e) => {
              propertyFilterProps.onChange(e);
              setFilter(e.detail); // of which one token is asked of CloudTrail
              setOpen(undefined);
              setQuery(put((q) => (q.delete("record"), writeFilter(q, e.detail, Object.keys(attribute)))), { replace: true });
            }}
            filteringOptions={filteringOptions}
            filteringPlaceholder={t("filterRecords")}
            filteringAriaLabel={t("filterRecords")}
            countText={t("matchesN", { n: count })}
            expandToViewport
          />
        }
        pagination={<Pagination {...paginationProps} />}
        empty={nothing}
        columnDefinitions={columns}
      />
      <div ref={place}>
      <Container
        header={
          <Header
            variant="h2"
            actions={
              shown && (
                <SpaceBetween direction="horizontal" size="s" alignItems="center">
                  <Go href={`/iam/simulator?event=${encodeURIComponent(shown.id)}&in=${shown.region}`}>{t("iamSimulator")}</Go>
                  <Copy text={pretty(shown.json)} label={t("copy")} />
                </SpaceBetween>
              )
            }
          >
            {t("eventRecord")}
          </Header>
        }
      >
        {!shown ? (
          t("chooseRecord")
        ) : (
          <SpaceBetween size="m">
            {shown.errorCode && (
              <Alert type="error" header={shown.errorCode} action={denied(shown.errorCode) && <WhyButton message={shown.errorMessage ?? ""} requestId={shown.requestId} executionArn={shown.executionArn} />}>
                <span className="arn">{shown.errorMessage}</span>
              </Alert>
            )}
            <KeyValuePairs
              columns={4}
              items={[
                { label: t("eventName"), value: shown.name },
                { label: t("time"), value: time(shown.time) },
                { label: t("inferenceRegion"), value: shown.served ?? "–" },
                { label: t("requestId"), value: <Arn arn={shown.requestId} /> },
                ...(shown.executionArn ? [{ label: t("execution"), value: <Go href={`${to.execution(shown.executionArn)}${shown.state ? "?state=" + encodeURIComponent(shown.state) : ""}`}>{t("openExecution")}</Go> }] : []),
              ]}
            />
            {inference(shown) && <Chain record={shown} key={shown.id} />}
            <Proof record={shown} key={"proof-" + shown.id} />
            <Code text={pretty(shown.json)} />
          </SpaceBetween>
        )}
      </Container>
      </div>
      {comparing && (
        <Compare records={picked} onDismiss={() => setComparing(false)} />
      )}
    </SpaceBetween>
  );
}
