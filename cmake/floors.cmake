# The floors of src/: one folder = one library = one namespace, and each may include and link only what is
# listed for it here (and what that in turn may). cmake/check_includes.cmake holds every #include to this table.
# Order matters: a folder stands after everything it uses.

set(MEGIN_ALL_FOLDERS
    base matrix config optim text metric report data store exchange search runtime
    net routing expert model objective train cli)

# Folders that need libtorch; the serve preset leaves them out.
set(MEGIN_TORCH_FOLDERS net routing expert model objective train)

set(MEGIN_USES_base "")
set(MEGIN_USES_matrix base)
set(MEGIN_USES_config base)
set(MEGIN_USES_optim config)
set(MEGIN_USES_text config)
set(MEGIN_USES_metric base)
set(MEGIN_USES_report base)
set(MEGIN_USES_data text config)
set(MEGIN_USES_store config)
set(MEGIN_USES_exchange store text)
set(MEGIN_USES_search config)
set(MEGIN_USES_runtime matrix store search text)
set(MEGIN_USES_net matrix store)
set(MEGIN_USES_routing net)
set(MEGIN_USES_expert routing)
set(MEGIN_USES_model expert data text)
set(MEGIN_USES_objective net text)
set(MEGIN_USES_train model objective optim data metric report store search runtime)
set(MEGIN_USES_cli runtime exchange data metric report store search text config)
# Only where libtorch is built in:
set(MEGIN_USES_TORCH_cli train)
