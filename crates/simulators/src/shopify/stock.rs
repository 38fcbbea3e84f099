//! Stock levels as they move, by sales, by hand and by the API; every move announces the level and the product.

use crate::shopify::{
    catalog::Level,
    catalog_rest,
    state::{Refused, State, refuse},
};

impl State {
    /// The location that online orders are taken from.
    pub(crate) fn main_location(&self) -> u64 {
        self.catalog.locations.first().map_or(0, |location| location.id)
    }

    /// Moves stock at a location (the main one by default); an item that is not stocked there is left alone.
    pub(crate) fn move_stock(&mut self, item: u64, location: Option<u64>, available: i64, committed: i64) {
        let location = location.unwrap_or_else(|| self.main_location());
        let now = self.now();
        let Some(level) = self.catalog.levels.get_mut(&(item, location)) else { return };
        level.committed += committed;
        level.available += available;
        level.updated_at = now;
        if available != 0 {
            self.announce_level(item, location);
        }
    }

    pub(crate) fn set_stock(&mut self, item: u64, location: u64, available: i64) {
        let now = self.now();
        if let Some(level) = self.catalog.levels.get_mut(&(item, location)) {
            level.available = available;
            level.updated_at = now;
            self.announce_level(item, location);
        }
    }

    /// Stocks an item at a location where it was not; announces the level if it is new.
    pub(crate) fn stock_at(&mut self, item: u64, location: u64, available: i64) {
        let level = Level { available, committed: 0, updated_at: self.now() };
        if self.catalog.levels.insert((item, location), level).is_none() {
            self.announce_level(item, location);
        }
    }

    fn announce_level(&mut self, item: u64, location: u64) {
        if self.wants("inventory_levels/update")
            && let Some(level) = self.catalog.levels.get(&(item, location))
        {
            let body = catalog_rest::level(self, item, location, level);
            self.event(None, vec![("inventory_levels/update", body)]);
        }
        if let Some(product) = self.catalog.items.get(&item).copied() {
            self.announce_product(product);
        }
    }

    pub(crate) fn announce_product(&mut self, id: u64) {
        if self.wants("products/update")
            && let Some(product) = self.catalog.products.get(&id)
        {
            let body = catalog_rest::product(self, product);
            self.event(None, vec![("products/update", body)]);
        }
    }

    /// Inventory item of a SKU, and a location by id or the main one.
    pub(crate) fn stock_keys(&self, sku: &str, location: Option<&str>) -> Result<(u64, u64), Refused> {
        let Some((_, variant)) = self.catalog.variant_of_sku(sku) else {
            return refuse(format!("there is no variant with SKU {sku:?}"));
        };
        let location = match location {
            None => self.main_location(),
            Some(id) => {
                let number = id.rsplit('/').next().and_then(|number| number.parse().ok());
                let known = number.filter(|number| self.catalog.location(*number).is_some());
                known.ok_or_else(|| Refused(format!("there is no location {id:?}")))?
            }
        };
        Ok((variant.inventory_item_id, location))
    }
}
