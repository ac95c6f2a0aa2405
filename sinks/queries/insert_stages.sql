INSERT INTO stages (definition, stage, definition_version, name, patience_ms, is_goal, generation, content) FORMAT JSONEachRow
