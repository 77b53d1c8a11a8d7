import Box from "@cloudscape-design/components/box";
import Spinner from "@cloudscape-design/components/spinner";
import StatusIndicator from "@cloudscape-design/components/status-indicator";
import { lookup, ofExecution } from "../../aws/trail";
import { useLoad } from "../../app/load";
import { Go, Problem, to } from "../../app/parts";
import type { Record_ } from "../../model/inference";
import { useI18n } from "../../i18n";
import { useTexts } from "../../i18n/page";
import texts from "../../i18n/pages/trail";
import "./trail.css";

const around = 24 * 3600_000; // before a call, in which its execution's start is looked for
const mosts = 4; // pages

// Chain is the way to a call of a model and on: who started what, the state, its calls, and the
// Regions that each of them tried.
export default function Chain({ record }: { record: Record_ }) {
  const { t, time } = useI18n();
  const say = useTexts(texts);
  const arn = record.executionArn;
  const { data, error, loading } = useLoad(
    async (signal) => {
      if (!arn) return { calls: [record] };
      const start = new Date(record.time.getTime() - around);
      const [starts, calls] = await Promise.all([
        lookup({ key: "EventName", value: "StartExecution", start, end: new Date(record.time.getTime() + 2000) }, mosts, signal, record.region),
        ofExecution(arn, start, new Date(record.time.getTime() + around), signal),
      ]);
      const same = calls.filter((c) => c.state === record.state).sort((a, b) => a.time.getTime() - b.time.getTime());
      return { started: starts.items.find((r) => r.json.includes(JSON.stringify(arn))), calls: same.length ? same : [record] };
    },
    [record.id],
  );
  if (!data) return loading ? <Spinner /> : <Problem error={error} />;
  const name = arn?.split(":").slice(7).join(":") ?? "";
  const tried = (r: Record_) => (r.attempts.length ? r.attempts : r.served ? [{ region: r.served, outcome: "served" }] : []);
  const what = (a: { error?: string; outcome?: string }) => (a.outcome === "served" ? say("served") : a.outcome === "full" || a.outcome === "out" ? say("passedOver") : (a.error ?? a.outcome ?? ""));
  return (
    <section>
      <Box variant="h3">{say("chain")}</Box>
      <ol className="chain">
        {arn ? (
          <>
            {data.started && (
              <li>
                <Go href={to.record(data.started.id, data.started.region)}>{say("startedBy", { who: data.started.user, name })}</Go> · {time(data.started.time)}
              </li>
            )}
            <li>
              <Go href={to.execution(arn)}>{say("execution", { name })}</Go>
            </li>
            {record.state && (
              <li>
                <Go href={`${to.execution(arn)}?state=${encodeURIComponent(record.state)}`}>{say("state", { name: record.state })}</Go>
              </li>
            )}
          </>
        ) : (
          <li>{say("ownCall", { who: record.user })}</li>
        )}
        {data.calls.map((c) => (
          <li key={c.id} aria-current={c.id === record.id ? "true" : undefined}>
            {c.id === record.id ? (
              <b>
                {say("thisCall")}: {say("call", { name: c.name, time: time(c.time) })}
              </b>
            ) : (
              <Go href={to.record(c.id, c.region)}>{say("call", { name: c.name, time: time(c.time) })}</Go>
            )}
            <ul>
              {tried(c).map((a, i) => (
                <li key={i}>
                  <StatusIndicator type={a.outcome === "served" ? "success" : a.outcome === "full" || a.outcome === "out" ? "pending" : "error"}>{say("tried", { region: a.region, what: what(a) })}</StatusIndicator>
                </li>
              ))}
              {tried(c).length === 0 && (
                <li>
                  <StatusIndicator type="error">
                    {c.errorCode}: {say(/AccessDenied/.test(c.errorCode ?? "") ? "refusedBefore" : "nowhere")}
                  </StatusIndicator>
                </li>
              )}
              {c.served && c.json.includes('"receipt":{') && (
                <li>
                  <StatusIndicator type="info">{say("receipt", { region: c.served })}</StatusIndicator>
                </li>
              )}
              {c.latency !== undefined && <li>{t("totalTime", { ms: c.latency })}</li>}
            </ul>
          </li>
        ))}
      </ol>
    </section>
  );
}
