import { useState } from "react";
import Alert from "@cloudscape-design/components/alert";
import Box from "@cloudscape-design/components/box";
import Button from "@cloudscape-design/components/button";
import ExpandableSection from "@cloudscape-design/components/expandable-section";
import KeyValuePairs from "@cloudscape-design/components/key-value-pairs";
import Modal from "@cloudscape-design/components/modal";
import SpaceBetween from "@cloudscape-design/components/space-between";
import Spinner from "@cloudscape-design/components/spinner";
import StatusIndicator from "@cloudscape-design/components/status-indicator";
import { noteError, sfn, sts } from "../aws/clients";
import { useLoad } from "../app/load";
import { Arn, Code, Command, Copy, Go, Problem, to, type WhyProps } from "../app/parts";
import { denial, kind } from "../model/denial";
import { decoded, lines, target, type Explanation, type Fix } from "../model/explanation";
import { useI18n } from "../i18n";
import { useTexts } from "../i18n/page";
import texts from "../i18n/pages/why";
import { apply, simulate, type Outcome } from "./policy";
import "./why.css";

// layerNamed is a layer of AWS's own text ("identity-based policy") in one's language.
function layerNamed(text: string, say: (k: (typeof layers)[number]) => string): string {
  const found = layers.find((l) => texts.en[l] === text);
  return found ? say(found) : text;
}

const layers = ["identity", "boundary", "session", "trust", "resource", "scp", "rcp"] as const;
const kinds = ["profile", "source-model", "destination-model", "global-model", "model", "other"] as const;

// Why says why a call was refused, what would allow it, and does that if told to.
export default function Why({ message, requestId, executionArn, onRedriven, onDismiss }: WhyProps & { onDismiss: () => void }) {
  const { t } = useI18n();
  const e = useLoad(async (abortSignal) => {
    if (!requestId) return null;
    const { m, c } = await sts();
    return decoded((await c.send(new m.DecodeAuthorizationMessageCommand({ EncodedMessage: requestId }), { abortSignal })).DecodedMessage) ?? null;
  }, [requestId]);
  return (
    <Modal visible size="max" header={t("whyTitle")} onDismiss={onDismiss} closeAriaLabel={t("close")}>
      <SpaceBetween size="l">
        <Words message={message} />
        {e.loading ? <Spinner size="large" /> : e.data ? <Whole e={e.data} executionArn={executionArn} onRedriven={
          onRedriven &&
          (() => {
            onDismiss(); // what it does now is to be seen on the page
            onRedriven();
          })
        } /> : <Hand message={message} requestId={requestId} error={e.error} />}
      </SpaceBetween>
    </Modal>
  );
}

// Words takes AWS's own text apart.
function Words({ message }: { message: string }) {
  const { t } = useI18n();
  const say = useTexts(texts);
  const d = denial(message);
  if (!d)
    return (
      <>
        <Box>{t("whyUnknown")}</Box>
        <Code text={message} />
      </>
    );
  return (
    <KeyValuePairs
      columns={2}
      items={[
        { label: t("whyWho"), value: <Arn arn={d.who} /> },
        { label: t("whyAction"), value: d.action },
        { label: t("whyResource"), value: <Arn arn={d.resource} /> },
        {
          label: t("whyDecided"),
          value: (
            <>
              {t(d.explicit ? "whyExplicit" : "whyImplicit", { layer: layerNamed(d.layer, say) })}
              {d.policyArn && <Box>{d.policyArn}</Box>}
            </>
          ),
        },
      ]}
    />
  );
}

// Hand is what can be said without the server's explanation.
function Hand({ message, requestId, error }: { message: string; requestId?: string; error: unknown }) {
  const { t } = useI18n();
  const say = useTexts(texts);
  const d = denial(message);
  const k = kind(d?.resource);
  const profile = k === "profile" && d?.resource?.includes(":inference-profile/") ? d.resource.slice(d.resource.indexOf("/") + 1) : undefined;
  return (
    <SpaceBetween size="m">
      {error !== undefined && (
        <Alert type="warning" header={say("cannotExplain")}>
          <span className="arn">{(error as Error).message}</span>
        </Alert>
      )}
      {k !== "other" && (
        <Alert type="info" action={profile && <Go href={to.profile(profile)}>{t("openProfile")}</Go>}>
          {t(k === "profile" ? "whyProfile" : "whyModel")}
        </Alert>
      )}
      {requestId && (
        <SpaceBetween size="xs">
          <Box>{t("whyCommand")}</Box>
          <Command text={`tokaido policy explain ${requestId}`} />
        </SpaceBetween>
      )}
    </SpaceBetween>
  );
}

function Whole({ e, executionArn, onRedriven }: { e: Explanation; executionArn?: string; onRedriven?: () => void }) {
  const { t, locale } = useI18n();
  const say = useTexts(texts);
  const layer = (l: string | undefined) => (layers.includes(l as "scp") ? say(l as "scp") : (l ?? ""));
  const refused = e.parts.filter((p) => !p.allowed).length;
  const [done, setDone] = useState<Record<number, Outcome>>({});
  const [sim, setSim] = useState<{ key: "simulated" | "live"; allowed: number; all: number }>();
  const [busy, setBusy] = useState<"simulate" | "apply" | "redrive">();
  const [error, setError] = useState<unknown>();
  const [redriven, setRedriven] = useState(false);
  const act = async (what: typeof busy, f: () => Promise<void>) => {
    setBusy(what);
    setError(undefined);
    try {
      await f();
    } catch (x) {
      noteError(x);
      setError(x);
    }
    setBusy(undefined);
  };
  const mine = e.fixes.filter((f) => target(f));
  const additive = mine.every((f) => f.layer === "identity");
  const settled = mine.length > 0 && e.fixes.every((f, i) => !target(f) || done[i] === "applied" || done[i] === "already");
  const owner = (f: Fix) => f.owner?.split("/").pop() ?? "";
  const named = (f: Fix) => say(f.new ? "newPolicy" : "policyOf", { policy: f.policy, owner: owner(f) });
  return (
    <SpaceBetween size="l">
      <section>
        <Box variant="h3">{say("parts")}</Box>
        <Box color="text-body-secondary">{say("partsHint", { n: refused, all: e.parts.length })}</Box>
        <ul className="why-parts">
          {e.parts.map((p, i) => (
            <li key={i}>
              <StatusIndicator type={p.allowed ? "success" : "error"}>
                {p.allowed ? say("allowed") : say(p.explicit ? "deniedBy" : "refusedBy", { layer: layer(p.layer) })}
              </StatusIndicator>
              <span>
                {kinds.includes(p.part as "other") ? say(p.part as "other") : p.part}
                {p.region ? ` · ${p.region}` : ""}
              </span>
              <span className="arn mono">{p.resource}</span>
            </li>
          ))}
        </ul>
      </section>
      {e.findings.length > 0 && (
        <section>
          <Box variant="h3">{say("why")}</Box>
          <ul className="why-findings">
            {e.findings.map((f, i) => (
              <li key={i}>
                {f.id && <code>{f.id}</code>} {locale === "ja" ? f.textJa : f.text}
              </li>
            ))}
          </ul>
        </section>
      )}
      {e.notRecorded.length > 0 && <Alert type="warning">{say("notRecorded", { names: e.notRecorded.join(", ") })}</Alert>}
      <section>
        <Box variant="h3">{say("fix")}</Box>
        <SpaceBetween size="m">
          {e.fixed ? <StatusIndicator type="success">{say("fixHint")}</StatusIndicator> : <StatusIndicator type="warning">{say("notFixed")}</StatusIndicator>}
          {e.wider.length > 0 && <Alert type="warning">{say("fixWider", { n: e.wider.length })}</Alert>}
          {e.fixes.map((f, i) => (
            <div key={i}>
              <div className="why-bar">
                <b>{named(f)}</b>
                <Copy text={f.after} label={t("copy")} />
              </div>
              <Diff text={f.diff} label={say("diff", { policy: f.policy })} />
              {!target(f) && <Alert type="info">{say("notHere", { layer: layer(f.layer), owner: f.owner || "AWS" })}</Alert>}
              {done[i] === "applied" && (
                <StatusIndicator type="success">
                  {say("applied", { owner: owner(f) })} {say("appliedHint")}
                </StatusIndicator>
              )}
              {done[i] === "already" && <StatusIndicator type="info">{say("already", { policy: f.policy })}</StatusIndicator>}
              {done[i] === "changed" && <StatusIndicator type="warning">{say("changed", { policy: f.policy })}</StatusIndicator>}
              {done[i] === "full" && <StatusIndicator type="error">{say("fullVersions", { policy: f.policy })}</StatusIndicator>}
            </div>
          ))}
          {mine.length > 0 && (
            <SpaceBetween direction="horizontal" size="xs" alignItems="center">
              {additive && (
                <Button
                  loading={busy === "simulate"}
                  disabled={busy !== undefined}
                  onClick={() =>
                    void act("simulate", async () => {
                      const r = await simulate(e, settled ? [] : mine.map((f) => f.after));
                      setSim({ key: settled ? "live" : "simulated", ...r });
                    })
                  }
                >
                  {say("simulate")}
                </Button>
              )}
              <Button
                variant={settled ? "normal" : "primary"}
                loading={busy === "apply"}
                disabled={busy !== undefined || settled}
                onClick={() =>
                  void act("apply", async () => {
                    let ok = true;
                    for (const [i, f] of e.fixes.entries()) {
                      if (!target(f) || done[i] === "applied") continue;
                      const r = await apply(f);
                      setDone((d) => ({ ...d, [i]: r }));
                      ok = ok && (r === "applied" || r === "already");
                    }
                    if (ok) setSim({ key: "live", ...(await simulate(e, [])) });
                  })
                }
              >
                {say("apply")}
              </Button>
              {executionArn && settled && !redriven && (
                <Button
                  variant="primary"
                  loading={busy === "redrive"}
                  onClick={() =>
                    void act("redrive", async () => {
                      const { m, c } = await sfn();
                      await c.send(new m.RedriveExecutionCommand({ executionArn }));
                      setRedriven(true);
                      onRedriven?.();
                    })
                  }
                >
                  {say("redrive")}
                </Button>
              )}
            </SpaceBetween>
          )}
          {sim && <StatusIndicator type={sim.allowed === sim.all ? "success" : "warning"}>{say(sim.key, { n: sim.allowed, all: sim.all })}</StatusIndicator>}
          {redriven && executionArn && (
            <SpaceBetween direction="horizontal" size="xs">
              <StatusIndicator type="success">{say("redriven")}</StatusIndicator>
              <Go href={to.execution(executionArn)}>{say("openExecution")}</Go>
            </SpaceBetween>
          )}
          <Problem error={error} plain />
        </SpaceBetween>
      </section>
      <ExpandableSection headerText={say("text")}>
        <Code text={e.text[locale]} />
      </ExpandableSection>
    </SpaceBetween>
  );
}

export const Diff = ({ text, label }: { text: string; label: string }) => (
  <pre className="payload mono diff" tabIndex={0} aria-label={label} role="region">
    {lines(text).map((l, i) => (
      <span key={i} className={"d-" + l.kind}>
        {l.text + "\n"}
      </span>
    ))}
  </pre>
);
