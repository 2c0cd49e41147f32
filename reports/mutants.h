// The page of the mutant zoo: what ci/mutants found, as HTML.
#pragma once

#include <expected>
#include <string>
#include <string_view>

#include "harness/base/error.h"

namespace rig {

// mutants_html is one HTML page, without scripts and without anything from elsewhere, of a report of ci/mutants: the
// score, each mutant with who reported it and how soon, and who else did (laws, suites). Errors: invalid_argument if
// `json` is no such report.
std::expected<std::string, Error> mutants_html(std::string_view json);

}  // namespace rig
