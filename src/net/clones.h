// Plain loops that the compiler vectorises: compiled for several instruction sets, the best of which is
// chosen when the program is loaded.
#pragma once

#define MEGIN_CLONES __attribute__((target_clones("arch=x86-64-v4", "arch=x86-64-v3", "default")))
