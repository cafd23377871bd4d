/** What a user is told where /dev/kvm does not do. */
import { constants } from "node:os";
import { HostError } from "../../../src/base/errors.ts";
import type { NativeAddon } from "../../../src/host/native.ts";
import { kvmCap, kvmIoctl } from "../../../src/vmm/kvm/abi.ts";
import { openKvm } from "../../../src/vmm/kvm/hypervisor.ts";
import { assert, test } from "../../support/harness.ts";

const { EACCES, EBUSY, ENODEV, ENOENT, ENOTTY } = constants.errno;

/** A device that answers so; `closed` counts what was given back. */
function device(answers: { open?: number; version?: number; lacks?: number }) {
  const { open = 5, version = 12, lacks = -1 } = answers;
  const seen = { closed: 0 };
  const addon: Partial<NativeAddon> = {
    open: () => open,
    close: () => { seen.closed += 1; return 0; },
    ioctlValue: (_fd, request, value) => request === kvmIoctl.KVM_GET_API_VERSION ? version
      : value === lacks ? 0 : 1,
  };
  return { addon: addon as NativeAddon, seen };
}

test("each refusal says what is wrong, and how to mend it where there is a way", () => {
  const cases: [Parameters<typeof device>[0], RegExp][] = [
    [{ open: -ENOENT }, /\/dev\/kvm: it does not exist: load the module \(modprobe kvm_intel or/],
    [{ open: -EACCES }, /no permission: add yourself to the group that owns it \(usermod/],
    [{ open: -ENODEV }, /virtualisation is off or in use/],
    [{ open: -EBUSY }, /\/dev\/kvm: EBUSY/],
    [{ version: -ENOTTY }, /it is no KVM \(ENOTTY\)/],
    [{ version: 13 }, /it speaks version 13; known: 12/],
    [{ lacks: kvmCap.KVM_CAP_SIGNAL_MSI }, /this kernel's KVM lacks KVM_CAP_SIGNAL_MSI/],
  ];
  for (const [answers, message] of cases) {
    const { addon, seen } = device(answers);
    assert.throws(() => openKvm(addon),
      (error) => error instanceof HostError && message.test(error.message), String(message));
    assert.equal(seen.closed, (answers.open ?? 5) < 0 ? 0 : 1, "nothing stays open");
  }
  assert.equal(openKvm(device({}).addon), 5);
});
