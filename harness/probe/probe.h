// The probe: what libtlsrig_probe.so asks of the program that it was preloaded into. Private to this folder.
#pragma once

namespace rig::probe {

// report_variable and poison_variable are how the command tells the probe what it wants, in its environment.
inline constexpr const char* report_variable = "TLSRIG_PROBE_REPORT";
inline constexpr const char* poison_variable = "TLSRIG_PROBE_POISON";

}  // namespace rig::probe
