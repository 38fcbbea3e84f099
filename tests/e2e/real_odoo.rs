//! The same flows into a real Odoo, where one is named by `SPINDEL_ODOO_URL` and `SPINDEL_ODOO_KEY`.
