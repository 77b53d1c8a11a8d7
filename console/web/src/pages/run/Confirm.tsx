// What is asked before an execution is redriven or stopped.
import { useState } from "react";
import type { DescribeExecutionCommandOutput } from "@aws-sdk/client-sfn";
import Alert from "@cloudscape-design/components/alert";
import Box from "@cloudscape-design/components/box";
import Button from "@cloudscape-design/components/button";
import Modal from "@cloudscape-design/components/modal";
import SpaceBetween from "@cloudscape-design/components/space-between";
import { noteError, sfn } from "../../aws/clients";
import { Problem, Status, WhyButton } from "../../app/parts";
import type { History } from "../../model/history";
import type { Record_ } from "../../model/inference";
import { redriven } from "../../model/run";
import { useI18n } from "../../i18n";
import { useTexts } from "../../i18n/page";
import runTexts from "../../i18n/pages/run";

const mostShown = 12;

type Props = { what: "redrive" | "stop"; x: DescribeExecutionCommandOutput; h: History; refusal?: Record_; onDone: () => void; onDismiss: () => void };

export default function Confirm({ what, x, h, refusal, onDone, onDismiss }: Props) {
  const { t } = useI18n();
  const tr = useTexts(runTexts);
  const [busy, setBusy] = useState(false);
  const [error, setError] = useState<unknown>();
  const { again, kept } = redriven(h);
  const go = async () => {
    setBusy(true);
    setError(undefined);
    try {
      const { m, c } = await sfn();
      if (what === "stop") await c.send(new m.StopExecutionCommand({ executionArn: x.executionArn }));
      else await c.send(new m.RedriveExecutionCommand({ executionArn: x.executionArn }));
      onDone();
    } catch (e) {
      noteError(e);
      setError(e);
      setBusy(false);
    }
  };
  return (
    <Modal
      visible
      header={tr(what === "stop" ? "stopTitle" : "redriveTitle")}
      onDismiss={onDismiss}
      closeAriaLabel={t("close")}
      footer={
        <Box float="right">
          <SpaceBetween direction="horizontal" size="xs">
            <Button variant="link" onClick={onDismiss}>
              {t("cancel")}
            </Button>
            <Button variant="primary" onClick={() => void go()} loading={busy}>
              {t(what)}
            </Button>
          </SpaceBetween>
        </Box>
      }
    >
      <SpaceBetween size="m">
        <Problem error={error} />
        {what === "stop" ? (
          <Box>{tr("stopWhat")}</Box>
        ) : (
          <>
            <Box>{tr(again.length ? "redriveWhat" : "redriveNone")}</Box>
            {again.length > 0 && (
              <ul className="again">
                {again.slice(0, mostShown).map((v) => (
                  <li key={v.id}>
                    <b>{v.name}</b> {v.where && <span className="dim">{v.where}</span>} <Status status={v.status} /> <span className="dim">{v.error}</span>
                  </li>
                ))}
                {again.length > mostShown && <li className="dim">{tr("redriveMore", { n: again.length - mostShown })}</li>}
              </ul>
            )}
            <Box color="text-body-secondary">{tr("redriveKept", { n: kept })}</Box>
            {/AccessDenied/.test(x.error ?? "") && (
              <Alert type="warning" action={refusal && <WhyButton message={refusal.errorMessage ?? ""} requestId={refusal.requestId} />}>
                {tr("redriveDenied")}
              </Alert>
            )}
          </>
        )}
      </SpaceBetween>
    </Modal>
  );
}
