import { useI18n } from "../i18n";
import { useTexts } from "../i18n/page";
import texts from "../i18n/pages/bedrock";
import { traffic } from "../model/profile";
import { Meter } from "../app/Regions";
import type { Record_ } from "../model/inference";

// Traffic says how calls fared in each Region that may answer them.
export default function Traffic({ records, regions }: { records: readonly Record_[]; regions: readonly string[] }) {
  const { t, number } = useI18n();
  const say = useTexts(texts);
  const rows = traffic(records);
  const all = [...rows, ...regions.filter((r) => !rows.some((x) => x.region === r)).map((region) => ({ region, calls: 0, errors: 0, tokens: 0, latency: undefined }))];
  const total = Math.max(1, rows.reduce((n, r) => n + r.calls, 0));
  return (
    <div className="scroll" tabIndex={0} role="region" aria-label={say("traffic")}>
      <table className="shares">
        <thead>
          <tr>
            <th scope="col">{say("regions")}</th>
            <th scope="col" className="w">{say("share")}</th>
            <th scope="col" className="num">{say("calls")}</th>
            <th scope="col" className="num">{say("errors")}</th>
            <th scope="col" className="num">{say("latency")}</th>
            <th scope="col" className="num">{say("tokens")}</th>
          </tr>
        </thead>
        <tbody>
          {all.map((r) => {
            const p = Math.round((100 * r.calls) / total);
            return (
              <tr key={r.region}>
                <th scope="row">{r.region || t("anyRegion")}</th>
                <Meter percent={p} />
                <td className="num">{number(r.calls)}</td>
                <td className="num">{r.errors > 0 ? <span className="bad-text">{number(r.errors)}</span> : 0}</td>
                <td className="num">{r.latency === undefined ? "–" : say("ms", { n: number(r.latency) })}</td>
                <td className="num">{number(r.tokens)}</td>
              </tr>
            );
          })}
        </tbody>
      </table>
    </div>
  );
}
