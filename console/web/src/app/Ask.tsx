import { useState, type ReactNode } from "react";
import Box from "@cloudscape-design/components/box";
import Button from "@cloudscape-design/components/button";
import Modal, { type ModalProps } from "@cloudscape-design/components/modal";
import SpaceBetween from "@cloudscape-design/components/space-between";
import { noteError } from "../aws/clients";
import { useI18n } from "../i18n";
import { Problem } from "./parts";

export type AskProps = {
  title: string;
  act: string; // what the button says that does it
  onAct: () => Promise<void>; // closes the dialog where it succeeds
  onDismiss: () => void;
  ready?: boolean;
  size?: ModalProps.Size;
  children: ReactNode;
};

// Ask is a dialog that asks, does it, and stays where that failed.
export default function Ask({ title, act, onAct, onDismiss, ready = true, size, children }: AskProps) {
  const { t } = useI18n();
  const [busy, setBusy] = useState(false);
  const [error, setError] = useState<unknown>();
  const go = async () => {
    setBusy(true);
    setError(undefined);
    try {
      await onAct();
    } catch (e) {
      noteError(e);
      setError(e);
    }
    setBusy(false);
  };
  return (
    <Modal
      visible
      size={size}
      header={title}
      closeAriaLabel={t("close")}
      onDismiss={onDismiss}
      footer={
        <Box float="right">
          <SpaceBetween direction="horizontal" size="xs">
            <Button variant="link" onClick={onDismiss}>
              {t("cancel")}
            </Button>
            <Button variant="primary" loading={busy} disabled={!ready} onClick={() => void go()}>
              {act}
            </Button>
          </SpaceBetween>
        </Box>
      }
    >
      <SpaceBetween size="m">
        <Problem error={error} />
        {children}
      </SpaceBetween>
    </Modal>
  );
}
