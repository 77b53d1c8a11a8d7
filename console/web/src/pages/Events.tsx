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
import { lookup, type Asked } from "../aws/trail";
import { useLoad } from "../app/load";
import { Arn, Code, Copy, Empty, Go, pretty, Problem, to, WhyButton } from "../app/parts";
import { denied, inference, type Record_ } from "../model/inference";
import { current } from "../aws/session";
import { useI18n, type Key } from "../i18n";
import { useTexts } from "../i18n/page";
import texts from "../i18n/pages/trail";
import Chain from "./trail/Chain";

const Compare = later(() => import("./trail/Compare"));
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
  const { t, time } = useI18n();
  const [query, setQuery] = useSearchParams();
  const [range, setRange] = useState(query.get("id") ? "90d" : "24h");
  const [reads, setReads] = useState(query.get("id") !== null);
  const [loads, setLoads] = useState(1);
  // A link may name what to look for: ?id=…, ?name=InvokeModel.
  const [filter, setFilter] = useState<PropertyFilterProps.Query>(() => ({
    operation: "and",
    tokens: Object.keys(attribute).flatMap((propertyKey) => (query.get(propertyKey) ? [{ propertyKey, operator: "=", value: query.get(propertyKey)! }] : [])),
  }));
  const say = useTexts(texts);
  const [open, setOpen] = useState<Row>();
  const [picked, pick] = useState<Row[]>([]);
  const [comparing, setComparing] = useState(false);
  const pushed = filter.operation === "and" ? filter.tokens.find((x) => x.operator === "=" && x.propertyKey && attribute[x.propertyKey] && x.value) : undefined;
  const asked: Asked = pushed ? { key: attribute[pushed.propertyKey!], value: String(pushed.value) } : {};
  const { data, error, loading, reload } = useLoad(
    async (signal) => {
      const span = ranges.find(([id]) => id === range)![2];
      const r = await lookup({ ...asked, start: new Date(Date.now() - span) }, perLoad * loads, signal);
      return { ...r, items: r.items.map((x): Row => ({ ...x, resource: x.resources.join(" ") })) };
    },
    [asked.key, asked.value, range, loads],
  );
  // A console reads all the time; what changed something, asked a model or was refused is what is looked for.
  const rows = useMemo(() => (data?.items ?? []).filter((r) => reads || !r.readOnly || inference(r) || r.errorCode), [data, reads]);
  const property = (key: string, label: Key, operators: string[] = ["=", "!=", ":"]) => ({ key, propertyLabel: t(label), groupValuesLabel: t(label), operators });
  const filteringProperties = [
    property("name", "eventName"),
    property("source", "eventSource"),
    property("user", "userName"),
    property("served", "inferenceRegion"),
    property("resource", "resourceName"),
    property("errorCode", "errorCode"),
    property("state", "step"),
    property("requestId", "requestId"),
    property("id", "eventId"),
    property("executionArn", "executions"),
  ];
  const { items, collectionProps, paginationProps, propertyFilterProps, filteredItemsCount } = useCollection(rows, {
    propertyFiltering: { filteringProperties, defaultQuery: filter, noMatch: <Empty title={t("noMatches")} />, empty: <Empty title={t("noMatches")} /> },
    pagination: { pageSize: 25 },
    sorting: {},
  });
  const filteringOptions = useMemo(() => {
    const seen = new Set<string>();
    const out: { propertyKey: string; value: string }[] = [];
    for (const r of rows)
      for (const k of ["name", "source", "user", "served", "errorCode", "state"] as const) {
        const value = r[k];
        if (!value || seen.has(k + value)) continue;
        seen.add(k + value);
        out.push({ propertyKey: k, value });
      }
    return out;
  }, [rows]);
  // what the address asks for is shown at once
  const shown = open ?? rows.find((r) => r.id === query.get("id"));
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
        loadingText={t("loading")}
        trackBy="id"
        selectionType="multi"
        selectedItems={picked}
        isItemDisabled={(r) => picked.length >= compared && !picked.some((x) => x.id === r.id)}
        onSelectionChange={(e) => {
          pick(e.detail.selectedItems.slice(0, compared));
          setOpen(e.detail.selectedItems.at(-1));
        }}
        onRowClick={(e) => setOpen(e.detail.item)}
        enableKeyboardNavigation
        ariaLabels={{ tableLabel: t("eventHistory"), selectionGroupLabel: t("eventHistory"), allItemsSelectionLabel: () => say("compareHint"), itemSelectionLabel: (_, r) => `${r.name} ${time(r.time)}` }}
        wrapLines
        header={
          <Header
            variant="h1"
            counter={data && `(${count}${data.more ? "+" : ""})`}
            description={current().region}
            actions={
              <SpaceBetween direction="horizontal" size="xs" alignItems="center">
                <Toggle checked={reads} onChange={(e) => setReads(e.detail.checked)}>
                  {t("showReads")}
                </Toggle>
                <Select
                  ariaLabel={t("range")}
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
              if (query.get("id")) setQuery({}, { replace: true });
            }}
            filteringOptions={filteringOptions}
            filteringPlaceholder={t("filterRecords")}
            filteringAriaLabel={t("filterRecords")}
            countText={t("matchesN", { n: count })}
            expandToViewport
          />
        }
        pagination={<Pagination {...paginationProps} />}
        empty={<Empty title={t("noMatches")} />}
        columnDefinitions={[
          { id: "time", header: t("time"), cell: (r) => time(r.time), minWidth: 190 },
          { id: "name", header: t("eventName"), cell: (r) => r.name, isRowHeader: true },
          { id: "user", header: t("userName"), cell: (r) => r.user || "–", minWidth: 110 },
          { id: "source", header: t("eventSource"), cell: (r) => r.source.replace(".amazonaws.com", "") },
          { id: "served", header: t("inferenceRegion"), cell: (r) => r.served ?? "–", minWidth: 140 },
          { id: "error", header: t("errorCode"), cell: (r) => (r.errorCode ? <StatusIndicator type="error">{r.errorCode}</StatusIndicator> : "–"), minWidth: 150 },
          { id: "resource", header: t("resourceName"), cell: (r) => <span className="arn" title={r.resources[0]}>{short(r.resources[0])}</span>, minWidth: 200 },
        ]}
      />
      <div ref={place}>
      <Container
        header={
          <Header
            variant="h2"
            actions={
              shown && (
                <SpaceBetween direction="horizontal" size="s" alignItems="center">
                  <Go href={"/iam/simulator?event=" + encodeURIComponent(shown.id)}>{t("iamSimulator")}</Go>
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
