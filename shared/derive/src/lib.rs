//! The attributes of request and response types.
//!
//! `#[shared::body]` makes a struct or an enum readable from a request, every
//! mistake named by its place. `#[shared::answer]` makes it a part of a response.
//! Both let the native build describe the type in OpenAPI; a component carries
//! nothing of that.

use proc_macro::TokenStream;
use proc_macro2::TokenStream as Tokens;
use quote::quote;
use syn::{
    Attribute, Data, DeriveInput, Error, Fields, FieldsNamed, Ident, LitStr, Result, Variant,
    parse_macro_input,
};

/// Makes a type readable from a request, and describes it.
///
/// - A struct is read from an object. A field is absent or null only if its type
///   says so: `Option`, or `Change` for one that null clears. Unknown fields are
///   refused.
/// - An enum whose variants hold nothing is read from its variant's name in
///   snake_case.
/// - An enum whose variants hold something is read from an object that names the
///   variant in `type`.
/// - A field with serde's `default` is its type's default when it is absent.
///
/// `#[shared::body(check)]` calls `fn check(&self, &mut Reader)` of the type when
/// all fields are right, for rules between fields. `#[shared::body(query)]` is for
/// the parameters of a query: unknown ones are left alone.
#[proc_macro_attribute]
pub fn body(options: TokenStream, item: TokenStream) -> TokenStream {
    let options = parse_macro_input!(options as Options);
    let item = parse_macro_input!(item as DeriveInput);
    expand_body(&options, item)
        .unwrap_or_else(Error::into_compile_error)
        .into()
}

/// Makes a type a part of a response, in snake_case, and describes it.
///
/// `#[shared::answer(read)]` also reads it, from what the database answers. An enum
/// whose variants hold something names its variant in `type`, or not at all with
/// `#[shared::answer(untagged)]`.
#[proc_macro_attribute]
pub fn answer(options: TokenStream, item: TokenStream) -> TokenStream {
    let options = parse_macro_input!(options as Options);
    let item = parse_macro_input!(item as DeriveInput);
    expand_answer(&options, &item)
        .unwrap_or_else(Error::into_compile_error)
        .into()
}

#[derive(Default)]
struct Options {
    check: bool,
    query: bool,
    read: bool,
    untagged: bool,
}

impl syn::parse::Parse for Options {
    fn parse(input: syn::parse::ParseStream<'_>) -> Result<Self> {
        let mut options = Self::default();
        let names = syn::punctuated::Punctuated::<Ident, syn::Token![,]>::parse_terminated(input)?;
        for name in names {
            match name.to_string().as_str() {
                "check" => options.check = true,
                "query" => options.query = true,
                "read" => options.read = true,
                "untagged" => options.untagged = true,
                _ => {
                    let message = "expected check, query, read or untagged";
                    return Err(Error::new_spanned(name, message));
                }
            }
        }
        Ok(options)
    }
}

/// The attributes by which the native build describes a type.
fn described(is_closed: bool, tag: Option<&Tokens>) -> Tokens {
    let closed = is_closed.then(|| quote!(deny_unknown_fields,));
    let tag = tag.map(|tag| quote!(#tag,));
    quote! {
        #[cfg_attr(not(target_arch = "wasm32"), derive(::shared::schemars::JsonSchema))]
        #[cfg_attr(
            not(target_arch = "wasm32"),
            schemars(crate = "::shared::schemars", #tag #closed rename_all = "snake_case")
        )]
    }
}

fn expand_answer(options: &Options, item: &DeriveInput) -> Result<Tokens> {
    let (is_closed, tag) = match &item.data {
        Data::Struct(_) => (true, None),
        Data::Enum(data) => {
            let is_plain = data.variants.iter().all(|v| v.fields.is_empty());
            let tag = match options.untagged {
                true => Some(quote!(untagged)),
                false => (!is_plain).then(|| quote!(tag = "type")),
            };
            (false, tag)
        }
        Data::Union(_) => return Err(Error::new_spanned(item, "a union is no answer")),
    };
    let described = described(is_closed, tag.as_ref());
    let tag = tag.map(|tag| quote!(#[serde(#tag)]));
    let read = options.read.then(|| quote!(::shared::serde::Deserialize,));
    Ok(quote! {
        #[derive(Debug, Clone, #read ::shared::serde::Serialize)]
        #[serde(crate = "::shared::serde", rename_all = "snake_case")]
        #tag
        #described
        #item
    })
}

fn expand_body(options: &Options, item: DeriveInput) -> Result<Tokens> {
    let name = &item.ident;
    let mut parameters = Tokens::new();
    let (reading, is_closed, tag) = match &item.data {
        Data::Struct(data) => {
            let Fields::Named(fields) = &data.fields else {
                return Err(Error::new_spanned(&item, "a body has named fields"));
            };
            if options.query {
                let names = fields.named.iter().filter_map(|field| field.ident.as_ref());
                let names = names.map(field_name);
                parameters = quote!(const PARAMETERS: &'static [&'static str] = &[#(#names),*];);
            }
            let fields = read_fields(fields, &quote!(Self), options, None);
            let check = options.check.then(|| {
                quote! {
                    if let Some(read) = &read { Self::check(read, reader); }
                    if !reader.is_right_since(mistakes) { return None; }
                }
            });
            let mistakes = options
                .check
                .then(|| quote!(let mistakes = reader.mistakes();));
            let reading = quote! {
                let object = reader.object(value)?;
                #mistakes
                let read = { #fields };
                #check
                read
            };
            (reading, !options.query, None)
        }
        Data::Enum(data) if data.variants.iter().all(|v| v.fields.is_empty()) => {
            let names: Vec<String> = data.variants.iter().map(variant_name).collect();
            let variants = data.variants.iter().map(|variant| &variant.ident);
            let reading = quote! {
                let text = reader.text(value)?;
                match text {
                    #(#names => Some(Self::#variants),)*
                    _ => { reader.refuse_name(&[#(#names),*]); None }
                }
            };
            (reading, false, None)
        }
        Data::Enum(data) => {
            let names: Vec<String> = data.variants.iter().map(variant_name).collect();
            let arms = data
                .variants
                .iter()
                .map(|variant| read_variant(variant, options))
                .collect::<Result<Vec<_>>>()?;
            let reading = quote! {
                let object = reader.object(value)?;
                match reader.type_name(object)? {
                    #(#names => { #arms })*
                    _ => { reader.refuse_type(&[#(#names),*]); None }
                }
            };
            (reading, true, Some(quote!(tag = "type")))
        }
        Data::Union(_) => return Err(Error::new_spanned(&item, "a union is no body")),
    };
    let (generics, arguments, bounds) = item.generics.split_for_impl();
    let implementation = quote! {
        impl #generics ::shared::http::input::Input for #name #arguments #bounds {
            #parameters

            fn read(
                value: &::shared::serde_json::Value,
                reader: &mut ::shared::http::input::Reader,
            ) -> Option<Self> {
                #reading
            }
        }
    };
    let described = described(is_closed, tag.as_ref());
    let item = with_optional_defaults(item);
    Ok(quote! {
        #[derive(Debug, Clone)]
        #described
        #item
        #implementation
    })
}

/// The type, whose fields with a default are described as ones that may be absent.
///
/// What is always written would be required of an answer and not of a request, and one
/// type has one description.
fn with_optional_defaults(mut item: DeriveInput) -> DeriveInput {
    let of_fields: Vec<&mut Fields> = match &mut item.data {
        Data::Struct(data) => vec![&mut data.fields],
        Data::Enum(data) => data.variants.iter_mut().map(|v| &mut v.fields).collect(),
        Data::Union(_) => Vec::new(),
    };
    for field in of_fields.into_iter().flatten() {
        if has_serde(&field.attrs, "default") && !has_serde(&field.attrs, "skip_serializing_if") {
            field.attrs.push(syn::parse_quote! {
                #[cfg_attr(
                    not(target_arch = "wasm32"),
                    schemars(skip_serializing_if = "::shared::http::input::is_left_out")
                )]
            });
        }
    }
    item
}

fn read_fields(
    fields: &FieldsNamed,
    path: &Tokens,
    options: &Options,
    tag: Option<&str>,
) -> Tokens {
    let idents: Vec<&Ident> = fields
        .named
        .iter()
        .filter_map(|f| f.ident.as_ref())
        .collect();
    let names: Vec<String> = idents.iter().map(|ident| field_name(ident)).collect();
    let reads = fields
        .named
        .iter()
        .map(|field| match has_serde(&field.attrs, "default") {
            true => quote!(field_or_default),
            false => quote!(field),
        });
    let known = names.iter().map(String::as_str).chain(tag);
    let unknown = (!options.query).then(|| quote!(reader.refuse_unknown(object, &[#(#known),*]);));
    quote! {
        #(let #idents = reader.#reads(object, #names);)*
        #unknown
        Some(#path { #(#idents: #idents?),* })
    }
}

fn read_variant(variant: &Variant, options: &Options) -> Result<Tokens> {
    let ident = &variant.ident;
    let path = quote!(Self::#ident);
    match &variant.fields {
        Fields::Named(fields) => Ok(read_fields(fields, &path, options, Some("type"))),
        Fields::Unit => Ok(quote! {
            reader.refuse_unknown(object, &["type"]);
            Some(#path)
        }),
        Fields::Unnamed(fields) if fields.unnamed.len() == 1 => {
            let inner = &fields.unnamed[0].ty;
            Ok(quote! {
                let mut rest = object.clone();
                rest.remove("type");
                <#inner as ::shared::http::input::Input>::read(
                    &::shared::serde_json::Value::Object(rest),
                    reader,
                ).map(#path)
            })
        }
        Fields::Unnamed(_) => Err(Error::new_spanned(variant, "a variant holds one type")),
    }
}

/// A field's name as the client writes it: `r#type` is `type`.
fn field_name(ident: &Ident) -> String {
    let text = ident.to_string();
    text.strip_prefix("r#").unwrap_or(&text).to_owned()
}

/// A variant's name as the client writes it: in snake_case, or what
/// `#[serde(rename = "…")]` says.
fn variant_name(variant: &Variant) -> String {
    renamed(&variant.attrs).unwrap_or_else(|| snake_case(&variant.ident.to_string()))
}

fn renamed(attributes: &[Attribute]) -> Option<String> {
    let mut name = None;
    for attribute in attributes {
        if attribute.path().is_ident("serde") || attribute.path().is_ident("schemars") {
            // What else the attribute says is not read here.
            let _ = attribute.parse_nested_meta(|meta| {
                if meta.path.is_ident("rename") {
                    name = Some(meta.value()?.parse::<LitStr>()?.value());
                }
                Ok(())
            });
        }
    }
    name
}

/// Whether serde is told `option` of a field.
fn has_serde(attributes: &[Attribute], option: &str) -> bool {
    let mut has = false;
    for attribute in attributes.iter().filter(|a| a.path().is_ident("serde")) {
        let _ = attribute.parse_nested_meta(|meta| {
            has |= meta.path.is_ident(option);
            if meta.input.peek(syn::Token![=]) {
                meta.value()?.parse::<syn::Expr>()?;
            }
            Ok(())
        });
    }
    has
}

fn snake_case(name: &str) -> String {
    let mut snake = String::new();
    for (index, c) in name.char_indices() {
        if c.is_ascii_uppercase() && index > 0 {
            snake.push('_');
        }
        snake.push(c.to_ascii_lowercase());
    }
    snake
}
