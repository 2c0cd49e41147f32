// The pages' templates, compiled in: a binary of the rig looks for no file at run time.
#pragma once

#include <string_view>

namespace rig {

// index_template is the text of templates/index.html, in the mustache language.
std::string_view index_template() noexcept;

// mutants_template is that of templates/mutants.html.
std::string_view mutants_template() noexcept;

}  // namespace rig
