//! Draws what egui gives out, on the CPU: enough for pictures in tests and docs, without a window or a GPU.

use egui::{
    ClippedPrimitive, Color32, ColorImage, Context, FullOutput, ImageData, Pos2, Rect, TextureId, epaint::Primitive,
    epaint::Vertex,
};
use image::{Rgb, RgbImage};
use std::collections::HashMap;

/// Keeps egui's textures (the glyphs) from frame to frame.
#[derive(Default)]
pub struct Rasterizer {
    textures: HashMap<TextureId, ColorImage>,
}

impl Rasterizer {
    /// Takes the textures of a frame that is not drawn, too.
    pub fn take_textures(&mut self, output: &FullOutput) {
        for (&id, deltas) in &output.textures_delta.set {
            for delta in deltas {
                let ImageData::Color(image) = &delta.image;
                match delta.pos {
                    None => {
                        self.textures.insert(id, (**image).clone());
                    }
                    Some([left, top]) => {
                        let texture = self.textures.get_mut(&id).expect("a texture is made before it is changed");
                        let (width, [patch_width, patch_height]) = (texture.size[0], image.size);
                        for row in 0..patch_height {
                            let from = &image.pixels[row * patch_width..][..patch_width];
                            texture.pixels[(top + row) * width + left..][..patch_width].copy_from_slice(from);
                        }
                    }
                }
            }
        }
    }

    /// The picture of a frame, `size` points large.
    pub fn draw(&self, ctx: &Context, output: FullOutput, size: egui::Vec2) -> RgbImage {
        let scale = output.pixels_per_point;
        let [width, height] = [size.x, size.y].map(|points| (points * scale).round() as usize);
        let mut pixels = vec![[0.0_f32; 3]; width * height];
        for ClippedPrimitive { clip_rect, primitive } in ctx.tessellate(output.shapes, scale) {
            let Primitive::Mesh(mesh) = primitive else { panic!("the editor draws nothing but meshes") };
            let texture = &self.textures[&mesh.texture_id];
            let clip = Rect::from_min_max(
                (clip_rect.min.to_vec2() * scale).to_pos2(),
                (clip_rect.max.to_vec2() * scale).to_pos2(),
            );
            for triangle in mesh.indices.chunks_exact(3) {
                let corners = [0, 1, 2].map(|corner| {
                    let vertex = mesh.vertices[triangle[corner] as usize];
                    Vertex { pos: (vertex.pos.to_vec2() * scale).to_pos2(), ..vertex }
                });
                fill_triangle(&mut pixels, width, clip, corners, texture);
            }
        }
        RgbImage::from_fn(width as u32, height as u32, |x, y| {
            Rgb(pixels[y as usize * width + x as usize].map(|value| value.round().clamp(0.0, 255.0) as u8))
        })
    }
}

/// Twice the area of the triangle, with a sign.
fn area(a: Pos2, b: Pos2, c: Pos2) -> f32 {
    (b.x - a.x) * (c.y - a.y) - (b.y - a.y) * (c.x - a.x)
}

/// A pixel belongs to a triangle if its centre does; the edge between two triangles must belong to one of them only.
fn fill_triangle(pixels: &mut [[f32; 3]], width: usize, clip: Rect, corners: [Vertex; 3], texture: &ColorImage) {
    let [a, mut b, mut c] = corners;
    if area(a.pos, b.pos, c.pos) < 0.0 {
        (b, c) = (c, b);
    }
    let total = area(a.pos, b.pos, c.pos);
    if total <= 0.0 {
        return;
    }
    let height = pixels.len() / width;
    let bounds = Rect::from_points(&[a.pos, b.pos, c.pos]).intersect(clip);
    // Every pixel that the bounds touch; the centre decides below.
    let range = |min: f32, max: f32, end: usize| (min.max(0.0) as usize)..(max.ceil().max(0.0) as usize).min(end);
    let is_owned = |from: Pos2, to: Pos2, weight: f32| {
        weight > 0.0 || (weight == 0.0 && (to.y < from.y || (to.y == from.y && to.x > from.x)))
    };
    for y in range(bounds.min.y, bounds.max.y, height) {
        for x in range(bounds.min.x, bounds.max.x, width) {
            let pixel = Pos2::new(x as f32 + 0.5, y as f32 + 0.5);
            if !clip.contains(pixel) {
                continue;
            }
            let weights = [area(b.pos, c.pos, pixel), area(c.pos, a.pos, pixel), area(a.pos, b.pos, pixel)];
            let edges = [(b.pos, c.pos), (c.pos, a.pos), (a.pos, b.pos)];
            if !edges.iter().zip(weights).all(|(&(from, to), weight)| is_owned(from, to, weight)) {
                continue;
            }
            let weights = weights.map(|weight| weight / total);
            let mix = |of: fn(&Vertex) -> f32| of(&a) * weights[0] + of(&b) * weights[1] + of(&c) * weights[2];
            let texel = sample(texture, mix(|vertex| vertex.uv.x), mix(|vertex| vertex.uv.y));
            let colour = [mix(|v| v.color.r().into()), mix(|v| v.color.g().into()), mix(|v| v.color.b().into())];
            let alpha = mix(|v| v.color.a().into()) * texel[3] / 255.0 / 255.0;
            let below = &mut pixels[y * width + x];
            for channel in 0..3 {
                // Premultiplied, in gamma space, as egui's own painters do.
                below[channel] = colour[channel] * texel[channel] / 255.0 + below[channel] * (1.0 - alpha);
            }
        }
    }
}

/// The texture between its pixels.
fn sample(texture: &ColorImage, u: f32, v: f32) -> [f32; 4] {
    let [width, height] = texture.size;
    let (x, y) = (u * width as f32 - 0.5, v * height as f32 - 0.5);
    let at = |x: f32, y: f32| -> Color32 {
        let (x, y) = (x.clamp(0.0, width as f32 - 1.0) as usize, y.clamp(0.0, height as f32 - 1.0) as usize);
        texture.pixels[y * width + x]
    };
    let (left, top, right_share, bottom_share) = (x.floor(), y.floor(), x - x.floor(), y - y.floor());
    let mut sum = [0.0; 4];
    for (dx, dy, share) in [
        (0.0, 0.0, (1.0 - right_share) * (1.0 - bottom_share)),
        (1.0, 0.0, right_share * (1.0 - bottom_share)),
        (0.0, 1.0, (1.0 - right_share) * bottom_share),
        (1.0, 1.0, right_share * bottom_share),
    ] {
        for (sum, value) in sum.iter_mut().zip(at(left + dx, top + dy).to_array()) {
            *sum += share * f32::from(value);
        }
    }
    sum
}
