//! What happens to an order once it is placed: edited, captured, fulfilled; each with its webhooks. Refunds are in `refunds`.

use crate::shopify::{
    order::{Fulfilment, Line, Order, Transaction},
    rest,
    spec::{Edit, Tracking},
    state::{Refused, State, refuse},
};
use serde_json::Value;

impl State {
    pub(crate) fn order(&self, id: u64) -> Result<&Order, Refused> {
        self.orders.get(&id).ok_or_else(|| Refused(format!("order {id} does not exist")))
    }

    pub(crate) fn open_order(&mut self, id: u64) -> Result<&mut Order, Refused> {
        match self.orders.get_mut(&id) {
            None => refuse(format!("order {id} does not exist")),
            Some(order) if order.cancelled_at.is_some() => refuse(format!("order {} is cancelled", order.name())),
            Some(order) => Ok(order),
        }
    }

    pub(crate) fn edit(&mut self, id: u64, edits: &[Edit]) -> Result<(), Refused> {
        let order = self.open_order(id)?;
        let (currencies, taxes_included) = (order.currencies, order.taxes_included);
        let (mut additions, mut removals) = (Vec::new(), Vec::new());
        for edit in edits {
            let (sku, quantity) = match edit {
                Edit::AddLine { sku, quantity } => (sku.clone(), *quantity),
                Edit::SetQuantity { line, quantity } => {
                    let Some(line) = self.open_order(id)?.lines.get_mut(*line) else {
                        return refuse(format!("the order has no line {line}"));
                    };
                    let (sku, item, line_id, left) = (line.sku.clone(), line.inventory_item_id, line.id, line.current);
                    if *quantity < left {
                        line.current = *quantity;
                        removals.push((line_id, left - quantity));
                        let back = i64::from(left - quantity);
                        self.move_stock(item, None, back, -back);
                    }
                    if *quantity <= left {
                        continue;
                    }
                    (sku, quantity - left)
                }
            };
            let line = self.new_line(&sku, quantity, &currencies, taxes_included, true)?;
            let item = line.inventory_item_id;
            additions.push((line.id, quantity));
            self.open_order(id)?.lines.push(line);
            self.move_stock(item, None, -i64::from(quantity), i64::from(quantity));
        }
        let edited = rest::order_edit(self, id, &additions, &removals);
        self.changed(id, |_, _| vec![("orders/edited", edited)])
    }

    pub(crate) fn capture(&mut self, id: u64) -> Result<u64, Refused> {
        let (transaction, now) = (self.new_id(), self.now());
        let order = self.open_order(id)?;
        let amount = order.outstanding();
        if amount.is_zero() {
            return refuse(format!("order {} has nothing to capture", order.name()));
        }
        // An order that was paid and grew since is charged by the same payment.
        let Some(held) = order.transactions.iter().find(|it| it.status == "success") else {
            return refuse(format!("nothing is authorised for order {}", order.name()));
        };
        let capture = Transaction {
            id: transaction,
            parent_id: Some(held.id),
            kind: "capture",
            status: "success",
            gateway: held.gateway.clone(),
            payment_id: held.payment_id.clone(),
            amount,
            processed_at: now,
        };
        order.transactions.push(capture);
        self.changed(id, |state, order| {
            let capture = order.transaction(transaction).map(|capture| rest::transaction(state, order, capture));
            let capture = capture.map(|capture| ("order_transactions/create", capture));
            capture.into_iter().chain([("orders/paid", rest::order(state, order))]).collect()
        })?;
        Ok(transaction)
    }

    /// Fulfils these quantities (line index, quantity), or all that is left.
    pub(crate) fn fulfil(&mut self, id: u64, lines: Option<Vec<(usize, u32)>>, tracking: Tracking) -> Result<u64, Refused> {
        let (fulfilment, now) = (self.new_id(), self.now());
        let location = self.main_location();
        let order = self.open_order(id)?;
        let all = || order.lines.iter().enumerate().map(|(index, line)| (index, line.fulfillable())).collect();
        let mut lines: Vec<(usize, u32)> = lines.unwrap_or_else(all);
        lines.retain(|(_, quantity)| *quantity > 0);
        if lines.is_empty() {
            return refuse(format!("order {} has nothing to fulfil", order.name()));
        }
        for (index, quantity) in &lines {
            let open = order.lines.get(*index).map(Line::fulfillable);
            if open.is_none_or(|open| open < *quantity) {
                return refuse(format!("line {index} of order {} has no {quantity} to fulfil", order.name()));
            }
        }
        let mut gone = Vec::new();
        for (index, quantity) in &lines {
            let line = &mut order.lines[*index];
            line.fulfilled += quantity;
            gone.push((line.inventory_item_id, *quantity));
        }
        order.fulfilments.push(Fulfilment {
            id: fulfilment,
            lines,
            company: tracking.company,
            numbers: tracking.numbers,
            urls: tracking.urls,
            location,
            created_at: now,
            updated_at: now,
            events: Vec::new(),
        });
        for (item, quantity) in gone {
            if let Some(level) = self.catalog.levels.get_mut(&(item, location)) {
                level.committed -= i64::from(quantity);
            }
        }
        self.changed(id, |state, order| {
            let done = order.fulfilment_status() == Some("fulfilled");
            let topic = if done { "orders/fulfilled" } else { "orders/partially_fulfilled" };
            let newest = order.fulfilments.last().map(|newest| ("fulfillments/create", rest::fulfilment(state, order, newest)));
            newest.into_iter().chain([(topic, rest::order(state, order))]).collect()
        })?;
        Ok(fulfilment)
    }

    /// Stamps the order and announces the change: these topics, then `orders/updated`, all with one event id.
    pub(crate) fn changed(
        &mut self,
        id: u64,
        topics: impl FnOnce(&State, &Order) -> Vec<(&'static str, Value)>,
    ) -> Result<(), Refused> {
        let now = self.now();
        if let Some(order) = self.orders.get_mut(&id) {
            order.updated_at = now;
        }
        let order = self.order(id)?;
        let mut topics = topics(self, order);
        topics.push(("orders/updated", rest::order(self, order)));
        self.event(Some(id), topics);
        Ok(())
    }
}
