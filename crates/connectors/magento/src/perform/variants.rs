//! The variants of a configurable product: each is a product of its own, told apart by attributes whose values have ids.

use super::product::{Attribute, Extension, OPERATION, OptionValue, VariantOption};
use crate::{Magento, read::MOST, wire::product::Labels};
use serde_json::json;
use spindel_connect::{Api, Ask, CallError};
use spindel_model::{UpsertProduct, Variant};

/// An attribute that variants differ in.
struct Axis {
    /// In the source's word.
    name: String,
    labels: Labels,
}

impl Axis {
    fn value(&self, label: &str) -> Option<&str> {
        // The first one is the empty choice.
        let same = |it: &&crate::wire::product::Label| !it.value.is_empty() && it.label.trim().eq_ignore_ascii_case(label.trim());
        self.labels.options.iter().find(same).map(|it| it.value.as_str())
    }
}

impl Magento {
    /// Writes the variants, and answers what their product has to say of them.
    pub(super) async fn variants(
        &self,
        api: &Api,
        ask: &Ask<'_, UpsertProduct>,
        mut extension: Extension,
    ) -> Result<Extension, CallError> {
        let product = &*ask.verb.product;
        if product.variants.len() > MOST {
            return Err(CallError::data(OPERATION, format!("the product has more than {MOST} variants")));
        }
        let axes = self.axes(api, ask).await?;
        let mut links = Vec::with_capacity(product.variants.len());
        for variant in &product.variants {
            let sku = variant.sku.as_deref().filter(|it| !it.is_empty());
            let sku = sku.ok_or_else(|| CallError::data(OPERATION, "a variant has no SKU to be found by"))?;
            let is_new = self.sku_is_new(api, sku).await?;
            let mut fields = self.variant_fields(ask, variant, sku, is_new)?;
            fields.custom_attributes.extend(chosen(&axes, variant)?);
            let saved = self.save(api, "all", &fields).await?;
            links.push(saved.id.number().ok_or_else(|| CallError::unexpected(OPERATION, "a product's id is no number"))?);
        }
        let option = |(position, axis): (usize, &Axis)| {
            let labels = product.variants.iter().flat_map(|it| &it.options).filter(|(name, _)| *name == axis.name);
            let mut values: Vec<u64> = labels.filter_map(|(_, label)| axis.value(label)?.parse().ok()).collect();
            values.sort_unstable();
            values.dedup();
            let id = axis.labels.attribute_id.as_ref();
            Ok(VariantOption {
                attribute_id: id.ok_or_else(|| CallError::unexpected(OPERATION, "an attribute has no id"))?.0.clone(),
                label: axis.name.clone(),
                position,
                values: values.into_iter().map(|value_index| OptionValue { value_index }).collect(),
            })
        };
        extension.configurable_product_options = axes.iter().enumerate().map(option).collect::<Result<_, CallError>>()?;
        extension.configurable_product_links = links;
        Ok(extension)
    }

    async fn axes(&self, api: &Api, ask: &Ask<'_, UpsertProduct>) -> Result<Vec<Axis>, CallError> {
        let mut axes: Vec<Axis> = Vec::new();
        for (name, _) in ask.verb.product.variants.iter().flat_map(|it| &it.options) {
            if axes.iter().any(|it| it.name == *name) {
                continue;
            }
            let code = ask.maps.require(OPERATION, "attribute", name)?;
            let labels = self.labels(api, OPERATION, code).await?;
            let labels = labels.ok_or_else(|| {
                CallError::config(OPERATION, format!("[maps.attribute] `{name}`: the shop has no attribute `{code}`"))
            })?;
            axes.push(Axis { name: name.clone(), labels });
        }
        for axis in &mut axes {
            self.complete(api, ask, axis).await?;
        }
        Ok(axes)
    }

    /// Values that the attribute does not have yet are added to it.
    async fn complete(&self, api: &Api, ask: &Ask<'_, UpsertProduct>, axis: &mut Axis) -> Result<(), CallError> {
        let wanted = ask.verb.product.variants.iter().flat_map(|it| &it.options).filter(|(name, _)| *name == axis.name);
        let mut missing: Vec<&str> = wanted.map(|(_, label)| label.trim()).filter(|it| axis.value(it).is_none()).collect();
        missing.sort_unstable();
        missing.dedup();
        if missing.is_empty() {
            return Ok(());
        }
        let code = axis.labels.attribute_code.clone();
        for label in missing {
            let path = format!("/all/V1/products/attributes/{code}/options");
            // The id is the shop's to give.
            let body = json!({ "option": { "label": label, "value": "" } });
            api.post(OPERATION, path).json(&body).fetch::<serde::de::IgnoredAny>().await?;
        }
        // The answer to a new value is not its id in every version.
        if let Some(labels) = self.labels(api, OPERATION, &code).await? {
            axis.labels = labels;
        }
        Ok(())
    }
}

fn chosen(axes: &[Axis], variant: &Variant) -> Result<Vec<Attribute>, CallError> {
    let attribute = |axis: &Axis| {
        let label = variant.options.iter().find(|(name, _)| *name == axis.name).map(|(_, label)| label.as_str());
        let sku = variant.sku.as_deref().unwrap_or_default();
        let missing =
            || CallError::data(OPERATION, format!("variant `{sku}` has no value of `{}` that the shop knows", axis.name));
        let value = label.and_then(|label| axis.value(label)).ok_or_else(missing)?;
        Ok(Attribute::new(&axis.labels.attribute_code, value))
    };
    axes.iter().map(attribute).collect()
}
