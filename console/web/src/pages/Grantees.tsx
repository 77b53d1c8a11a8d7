import { useRef, useState } from "react";
import Button from "@cloudscape-design/components/button";
import Container from "@cloudscape-design/components/container";
import Header from "@cloudscape-design/components/header";
import SpaceBetween from "@cloudscape-design/components/space-between";
import StatusIndicator from "@cloudscape-design/components/status-indicator";
import Table from "@cloudscape-design/components/table";
import { iam, noteError } from "../aws/clients";
import { entities, type Entity } from "../aws/people";
import { current } from "../aws/session";
import { Go, Problem, to } from "../app/parts";
import { callParts, type CallPart, type Profile } from "../model/profile";
import { useI18n } from "../i18n";
import { useTexts } from "../i18n/page";
import texts from "../i18n/pages/bedrock";

const most = 50; // roles and users
const beside = 4; // simulations at a time

type Found = Entity & { missing: CallPart[] };

// Grantees finds who may call a profile, by simulating every part of the call for everybody.
export default function Grantees({ profile }: { profile: Profile }) {
  const { t } = useI18n();
  const say = useTexts(texts);
  const [found, setFound] = useState<Found[]>();
  const [state, setState] = useState<{ done: number; all: number }>();
  const [error, setError] = useState<unknown>();
  const turn = useRef(0);
  const parts = callParts(profile, current().region);
  const check = async () => {
    const mine = ++turn.current;
    setError(undefined);
    setFound([]);
    try {
      const [roles, users] = await Promise.all([entities("role"), entities("user")]);
      const who = [...roles.items, ...users.items].slice(0, most);
      const queue = [...who];
      setState({ done: 0, all: who.length });
      const { m, c } = await iam();
      await Promise.all(
        Array.from({ length: beside }, async () => {
          for (let e; (e = queue.shift()) && turn.current === mine; ) {
            const missing: CallPart[] = [];
            for (const p of parts) {
              const keys = { "aws:RequestedRegion": p.region, ...(p.profile ? { "bedrock:InferenceProfileArn": p.profile } : {}) };
              const r = await c.send(
                new m.SimulatePrincipalPolicyCommand({
                  PolicySourceArn: e.arn,
                  ActionNames: ["bedrock:InvokeModel"],
                  ResourceArns: [p.resource],
                  ContextEntries: Object.entries(keys).map(([k, v]) => ({ ContextKeyName: k, ContextKeyType: "string", ContextKeyValues: [v] })),
                }),
              );
              if (r.EvaluationResults?.[0]?.EvalDecision !== "allowed") missing.push(p);
            }
            if (turn.current !== mine) return;
            const one = { ...e, missing };
            setFound((f) => [...(f ?? []), one].sort((a, b) => a.missing.length - b.missing.length || a.name.localeCompare(b.name)));
            setState((s) => s && { ...s, done: s.done + 1 });
          }
        }),
      );
    } catch (x) {
      noteError(x);
      setError(x);
    }
    if (turn.current === mine) setState(undefined);
  };
  const button = (
    <Button onClick={() => void check()} loading={state !== undefined}>
      {say("check")}
    </Button>
  );
  const title = (
    <Header variant="h2" description={say("whoHint")} actions={button}>
      {say("who")}
    </Header>
  );
  return (
    <SpaceBetween size="xs">
      <Problem error={error} />
      {found === undefined ? (
        <Container header={title} />
      ) : (
        <Table
          header={title}
          items={found}
          trackBy="arn"
          wrapLines
          enableKeyboardNavigation
          ariaLabels={{ tableLabel: say("who") }}
          loading={state !== undefined && found.length === 0}
          loadingText={t("loading")}
          empty={say("nobody")}
          footer={state ? <StatusIndicator type="in-progress">{say("checking", state)}</StatusIndicator> : found.length === most ? say("firstOnly", { n: most }) : undefined}
          columnDefinitions={[
            { id: "name", header: t("name"), isRowHeader: true, cell: (e) => <Go href={to.iam(e.kind, e.name)}>{e.name}</Go>, minWidth: 140 },
            { id: "may", header: t("status"), minWidth: 180, cell: (e) => (e.missing.length === 0 ? <StatusIndicator type="success">{say("may")}</StatusIndicator> : <StatusIndicator type={e.missing.length === parts.length ? "stopped" : "warning"}>{say("mayNot", { n: e.missing.length, all: parts.length })}</StatusIndicator>) },
            { id: "missing", header: say("missing"), minWidth: 220, cell: (e) => (e.missing.length > 0 && e.missing.length < parts.length ? e.missing.map((p) => <div className="arn" key={p.resource}>{p.resource}</div>) : "–") },
          ]}
        />
      )}
    </SpaceBetween>
  );
}
