// A report with every kind of verdict, and with texts that try to break out of their place.
#pragma once

#include "reports/report.h"

namespace rig {

// hostile_text has what HTML and XML treat as their own, control characters, and bytes that are no UTF-8.
inline constexpr char hostile_text[] =
    "<b>&amp;\"quoted\" 'single' ]]> </script> {{reason}} \x01\x1b[31m\x7f\r\xff\xc3";

// sample_report is made of `suites` suites over all pairings, versions, pollers and fast tracks.
Report sample_report(std::size_t suites);

}  // namespace rig
