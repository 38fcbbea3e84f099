//! What happens to orders: placed, edited, captured, fulfilled, refunded, cancelled; each with its webhooks.

use crate::shopify::{
    order::{Discount, Fulfilment, Line, Order, Refund, RefundLine, Share, Shipping, Tax, Totals, Transaction, Worth},
    pricing::{Amount, Currencies, Reduction},
    rest,
    spec::{Edit, OrderSpec, RefundSpec, Restock, Tracking},
    state::{Refused, State, refuse},
};
use rand::RngExt as _;
use rust_decimal::Decimal;
use serde_json::Value;

/// What a refund gives back, when it is not all of what its lines and shipping are worth.
pub(crate) struct Payout {
    pub parent: Option<u64>,
    pub gateway: String,
    pub amount: Amount,
}

/// A refund worked out by the caller: the control surface refunds in full, the API says how much.
pub(crate) struct RefundOrder {
    pub lines: Vec<(usize, u32, Restock, Option<u64>)>,
    /// What of the shipping is given back, at most what is left.
    pub shipping: Option<Amount>,
    pub note: Option<String>,
    /// `None`: exactly what lines and shipping are worth, if the order is paid.
    pub payouts: Option<Vec<Payout>>,
}

impl State {
    pub(crate) fn order(&self, id: u64) -> Result<&Order, Refused> {
        self.orders.get(&id).ok_or_else(|| Refused(format!("order {id} does not exist")))
    }

    fn open_order(&mut self, id: u64) -> Result<&mut Order, Refused> {
        match self.orders.get_mut(&id) {
            None => refuse(format!("order {id} does not exist")),
            Some(order) if order.cancelled_at.is_some() => refuse(format!("order {} is cancelled", order.name())),
            Some(order) => Ok(order),
        }
    }

    pub(crate) fn place(&mut self, spec: &OrderSpec) -> Result<u64, Refused> {
        let currencies = self.currencies(spec.presentment);
        let mut lines = Vec::new();
        for (sku, quantity) in &spec.lines {
            lines.push(self.new_line(sku, *quantity, &currencies, spec.taxes_included, false)?);
        }
        let mut discounts = Vec::new();
        for reduction in &spec.discounts {
            discount_lines(&mut lines, discounts.len(), *reduction, &currencies);
            discounts.push(self.new_discount(*reduction, false));
        }
        for line in &mut lines {
            let net = line.worth(line.quantity, &currencies).net;
            line.tax.amount = currencies.tax(net, line.tax.rate, spec.taxes_included);
        }
        let shipping = spec.shipping.map(|price| {
            let mut shipping = self.new_shipping(currencies.convert(price));
            if let Some(reduction) = spec.shipping_discount {
                let shares = currencies.spread(reduction, &[shipping.price]);
                let share = |amount| Share { discount: discounts.len(), amount };
                shipping.shares = shares.into_iter().map(share).collect();
                discounts.push(self.new_discount(reduction, true));
            }
            let net = shipping.worth().net;
            shipping.tax.amount = currencies.tax(net, shipping.tax.rate, spec.taxes_included);
            shipping
        });
        let id = self.new_order(spec, currencies, lines, discounts, shipping)?;
        self.announce_placed(id, spec.paid)?;
        Ok(id)
    }

    fn new_order(
        &mut self,
        spec: &OrderSpec,
        currencies: Currencies,
        lines: Vec<Line>,
        discounts: Vec<Discount>,
        shipping: Option<Shipping>,
    ) -> Result<u64, Refused> {
        let now = self.now();
        let pick = self.rng.random_range(0..self.catalog.customers.len().max(1));
        let Some(customer) = self.catalog.customers.values_mut().nth(pick) else {
            return refuse("the shop has no customers");
        };
        customer.orders += 1;
        let customer = customer.clone();
        let mut order = Order {
            id: self.new_id(),
            number: self.new_number(),
            created_at: now,
            updated_at: now,
            cancelled_at: None,
            cancel_reason: None,
            customer: customer.id,
            email: customer.email,
            address: customer.address,
            taxes_included: spec.taxes_included,
            currencies,
            lines,
            shipping,
            discounts,
            tip: currencies.convert(spec.tip),
            placed: Totals::default(),
            transactions: Vec::new(),
            refunds: Vec::new(),
            fulfilments: Vec::new(),
            fulfilment_order: self.new_id(),
            note: None,
            tags: vec!["web".into()],
        };
        order.placed = order.totals(|line| line.quantity, order.shipping_left());
        let payment = Transaction {
            id: self.new_id(),
            parent_id: None,
            kind: if spec.paid { "sale" } else { "authorization" },
            gateway: "bogus".into(),
            amount: order.placed.total,
            processed_at: now,
        };
        if !payment.amount.is_zero() {
            order.transactions.push(payment);
        }
        let id = order.id;
        self.orders.insert(id, order);
        Ok(id)
    }

    fn announce_placed(&mut self, id: u64, paid: bool) -> Result<(), Refused> {
        let order = self.order(id)?;
        let body = rest::order(self, order);
        let mut topics = vec![("orders/create", body.clone())];
        if let Some(payment) = order.transactions.first() {
            topics.push(("order_transactions/create", rest::transaction(self, order, payment)));
        }
        if paid {
            topics.push(("orders/paid", body));
        }
        let sold: Vec<(u64, u32)> = order.lines.iter().map(|line| (line.inventory_item_id, line.quantity)).collect();
        self.event(Some(id), topics);
        for (item, quantity) in sold {
            self.move_stock(item, None, -i64::from(quantity), i64::from(quantity));
        }
        Ok(())
    }

    fn currencies(&self, presentment: bool) -> Currencies {
        let shop = self.options.currency;
        match self.options.presentment {
            Some((presentment_currency, rate)) if presentment => {
                Currencies { shop, presentment: presentment_currency, rate }
            }
            _ => Currencies { shop, presentment: shop, rate: Decimal::ONE },
        }
    }

    fn new_line(
        &mut self,
        sku: &str,
        quantity: u32,
        currencies: &Currencies,
        taxes_included: bool,
        added_by_edit: bool,
    ) -> Result<Line, Refused> {
        let (id, fulfilment_order_line) = (self.new_id(), self.new_id());
        let Some((product, variant)) = self.catalog.variant_of_sku(sku) else {
            return refuse(format!("there is no variant with SKU {sku:?}"));
        };
        if quantity == 0 {
            return refuse(format!("quantity of {sku:?} must be at least 1"));
        }
        let unit_price = currencies.convert(variant.price);
        let amount = currencies.tax(unit_price.times(quantity), variant.tax_rate, taxes_included);
        Ok(Line {
            id,
            fulfilment_order_line,
            product_id: product.id,
            variant_id: variant.id,
            inventory_item_id: variant.inventory_item_id,
            sku: variant.sku.clone(),
            title: product.title.clone(),
            variant_title: variant.title.clone(),
            vendor: product.vendor.clone(),
            grams: variant.grams,
            unit_price,
            quantity,
            current: quantity,
            fulfilled: 0,
            shares: Vec::new(),
            tax: Tax { rate: variant.tax_rate, amount },
            added_by_edit,
        })
    }

    fn new_discount(&mut self, reduction: Reduction, on_shipping: bool) -> Discount {
        let code = self.rng.random_bool(0.5).then(|| format!("KODE{}", self.rng.random_range(10..99)));
        let title = match (&code, on_shipping) {
            (Some(code), _) => code.clone(),
            (None, true) => "Fraktrabatt".into(),
            (None, false) => "Kampanje".into(),
        };
        Discount { code, title, reduction, on_shipping }
    }

    fn new_shipping(&mut self, price: Amount) -> Shipping {
        Shipping {
            id: self.new_id(),
            code: "HJEM".into(),
            title: "Hjemlevering".into(),
            price,
            shares: Vec::new(),
            tax: Tax { rate: Decimal::new(25, 2), amount: Amount::ZERO },
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
        let parent_id = order.transactions.first().map(|authorization| authorization.id);
        let capture = Transaction {
            id: transaction,
            parent_id,
            kind: "capture",
            gateway: "bogus".into(),
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

    pub(crate) fn refund_in_full(&mut self, id: u64, spec: &RefundSpec) -> Result<u64, Refused> {
        let location = self.main_location();
        let order = self.open_order(id)?;
        if order.payment().is_none() {
            return refuse(format!("order {} is not paid: there is nothing to refund", order.name()));
        }
        let shipping = spec.shipping.then(|| order.shipping_left().net);
        let lines = spec.lines.iter().map(|(line, quantity)| (*line, *quantity, spec.restock, Some(location)));
        let refund = RefundOrder { lines: lines.collect(), shipping, note: spec.note.clone(), payouts: None };
        self.refund(id, refund)
    }

    pub(crate) fn refund(&mut self, id: u64, refund: RefundOrder) -> Result<u64, Refused> {
        let refund_id = self.record_refund(id, refund)?;
        self.changed(id, |state, order| refund_topics(state, order, refund_id))?;
        Ok(refund_id)
    }

    /// Books the refund and moves the goods; the caller announces it.
    fn record_refund(&mut self, id: u64, asked: RefundOrder) -> Result<u64, Refused> {
        let (refund_id, now) = (self.new_id(), self.now());
        let new_ids: Vec<u64> = asked.lines.iter().map(|_| self.new_id()).collect();
        let transactions = asked.payouts.as_ref().map_or(1, Vec::len);
        let new_transactions: Vec<u64> = (0..transactions).map(|_| self.new_id()).collect();
        let order = self.open_order(id)?;
        check_refund(order, &asked.lines)?;
        let (mut lines, mut goods) = (Vec::new(), Vec::new());
        for ((index, quantity, restock, location), line_id) in asked.lines.iter().zip(&new_ids) {
            let currencies = order.currencies;
            let line = &mut order.lines[*index];
            let open = line.fulfillable().min(*quantity);
            let before = line.worth(line.current, &currencies);
            line.current -= quantity;
            let worth = before.less(&line.worth(line.current, &currencies));
            goods.push((line.inventory_item_id, *quantity, open, *restock, *location));
            lines.push(RefundLine {
                id: *line_id,
                line: *index,
                quantity: *quantity,
                restock: restock.word(),
                location: *location,
                worth,
            });
        }
        let shipping = asked.shipping.map_or(Worth::default(), |net| shipping_part(order, net));
        let worth: Amount = lines.iter().map(|line| line.worth.due(order.taxes_included)).sum::<Amount>()
            + shipping.due(order.taxes_included);
        let payouts = asked.payouts.unwrap_or_else(|| full_payout(order, worth));
        let paid_out: Amount = payouts.iter().map(|payout| payout.amount).sum();
        let discrepancy = if payouts.is_empty() { Amount::ZERO } else { paid_out - worth };
        let mut refund = Refund {
            id: refund_id,
            created_at: now,
            note: asked.note,
            lines,
            shipping,
            discrepancy,
            transactions: Vec::new(),
        };
        for (payout, transaction_id) in payouts.into_iter().zip(new_transactions) {
            refund.transactions.push(transaction_id);
            order.transactions.push(Transaction {
                id: transaction_id,
                parent_id: payout.parent,
                kind: "refund",
                gateway: payout.gateway,
                amount: payout.amount,
                processed_at: now,
            });
        }
        self.open_order(id)?.refunds.push(refund);
        for (item, quantity, open, restock, location) in goods {
            let back = if restock == Restock::No { 0 } else { i64::from(quantity) };
            self.move_stock(item, location, back, -i64::from(open));
        }
        Ok(refund_id)
    }

    /// Cancels: everything left is taken off, and given back if `money_back` and paid.
    pub(crate) fn cancel(&mut self, id: u64, reason: &str, restock: bool, money_back: bool, note: Option<String>) -> Result<(), Refused> {
        let (void, now, location) = (self.new_id(), self.now(), self.main_location());
        let order = self.open_order(id)?;
        if !order.fulfilments.is_empty() {
            return refuse(format!("order {} has fulfilments and cannot be cancelled", order.name()));
        }
        let restock = if restock { Restock::Cancel } else { Restock::No };
        let open = order.lines.iter().enumerate().filter(|(_, line)| line.current > 0);
        let lines = open.map(|(index, line)| (index, line.current, restock, Some(location))).collect();
        let paid = order.payment().map(|payment| (payment.id, payment.gateway.clone()));
        let payouts = match paid {
            Some((parent, gateway)) if money_back => {
                vec![Payout { parent: Some(parent), gateway, amount: order.received() - order.refunded() }]
            }
            _ => Vec::new(),
        };
        let shipping = (!payouts.is_empty()).then(|| order.shipping_left().net);
        if order.payment().is_none() {
            let authorized = order.transactions.first().map(|first| (first.id, first.amount));
            if let Some((parent, amount)) = authorized {
                order.transactions.push(Transaction {
                    id: void,
                    parent_id: Some(parent),
                    kind: "void",
                    gateway: "bogus".into(),
                    amount,
                    processed_at: now,
                });
            }
        }
        let refund = RefundOrder { lines, shipping, note, payouts: Some(payouts) };
        let refund = self.record_refund(id, refund)?;
        let order = self.open_order(id)?;
        order.cancelled_at = Some(now);
        order.cancel_reason = Some(reason.to_lowercase());
        self.changed(id, |state, order| {
            let mut topics = vec![("orders/cancelled", rest::order(state, order))];
            topics.extend(refund_topics(state, order, refund));
            topics
        })
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

fn discount_lines(lines: &mut [Line], discount: usize, reduction: Reduction, currencies: &Currencies) {
    let left: Vec<Amount> = lines.iter().map(|line| line.worth(line.quantity, currencies).net).collect();
    for (line, amount) in lines.iter_mut().zip(currencies.spread(reduction, &left)) {
        line.shares.push(Share { discount, amount });
    }
}

fn check_refund(order: &Order, lines: &[(usize, u32, Restock, Option<u64>)]) -> Result<(), Refused> {
    for (index, line) in order.lines.iter().enumerate() {
        let asked: u32 = lines.iter().filter(|(asked, ..)| *asked == index).map(|(_, quantity, ..)| quantity).sum();
        if asked > line.current {
            return refuse(format!("line {} has {} left, cannot refund {asked}", line.id, line.current));
        }
    }
    match lines.iter().find(|(index, ..)| *index >= order.lines.len()) {
        Some((index, ..)) => refuse(format!("order {} has no line {index}", order.name())),
        None => Ok(()),
    }
}

/// This much of the shipping that is left, with its part of the tax.
fn shipping_part(order: &Order, net: Amount) -> Worth {
    let left = order.shipping_left();
    if net == left.net {
        return left;
    }
    Worth {
        gross: net,
        discount: Amount::ZERO,
        net,
        tax: order.currencies.share(left.tax, net.shop, left.net.shop),
    }
}

fn full_payout(order: &Order, amount: Amount) -> Vec<Payout> {
    match order.payment() {
        Some(payment) if !amount.is_zero() => {
            vec![Payout { parent: Some(payment.id), gateway: payment.gateway.clone(), amount }]
        }
        _ => Vec::new(),
    }
}

fn refund_topics(state: &State, order: &Order, refund: u64) -> Vec<(&'static str, Value)> {
    let Some(refund) = order.refunds.iter().find(|made| made.id == refund) else { return Vec::new() };
    let mut topics = vec![("refunds/create", rest::refund(state, order, refund))];
    for id in &refund.transactions {
        if let Some(transaction) = order.transaction(*id) {
            topics.push(("order_transactions/create", rest::transaction(state, order, transaction)));
        }
    }
    topics
}
